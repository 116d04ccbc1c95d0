//! Cron cells: swapped, with the jobs of the slot, in one step.

use tideway_engine::Wall;
use tideway_engine::jobs::Name;
use tideway_engine::jobs::call::{CronCas, CronOut};

use super::Model;

impl Model {
    /// Moves a cron cell and inserts the jobs, if its slot is as the caller last saw it and its `rev` is not
    /// higher than the caller's.
    pub fn cron_cas(&mut self, cas: &CronCas, now: Wall) -> CronOut {
        self.hints.clear();
        let won = cas.fits(self.cells.get(&cas.key));
        if won {
            self.cells.insert(cas.key.clone(), cas.next.clone());
            for new in &cas.jobs {
                self.insert(new, now);
            }
        }
        CronOut {
            won,
            ..self.cron_cell(&cas.key, now)
        }
    }

    /// The cell of a cron entry.
    #[must_use]
    pub fn cron_cell(&self, key: &Name, now: Wall) -> CronOut {
        CronOut {
            won: false,
            cell: self.cells.get(key).cloned(),
            now,
        }
    }
}
