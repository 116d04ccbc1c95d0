//! The job store in memory: the executable specification that every other store is compared with.
