//! Driving an application without a socket, in virtual time.
