//! The structural check: a page of records at a time, each with all that lists it; then all that lists, with its
//! records. Each page is one script, so what is written meanwhile is no flaw.

use tideway::jobs::StoreError;
use tideway_engine::jobs::call::AuditReport;

use crate::nodes::Tag;
use crate::scripts::AUDIT;
use crate::store::Inner;

/// A report says no more than this.
const FLAWS: usize = 1000;

impl Inner {
    pub(crate) async fn audit(&self) -> Result<AuditReport, StoreError> {
        let mut report = AuditReport::default();
        for tag in self.all_tags().await? {
            self.audit_tag(&tag, &mut report).await?;
        }
        report.flaws.truncate(FLAWS);
        Ok(report)
    }

    async fn audit_tag(&self, tag: &Tag, report: &mut AuditReport) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let mut call = self.call(tag, &AUDIT);
            call.arg(&from);
            let mut reply = self.run_one(tag, &AUDIT, call).await?;
            report.checked += reply.count()?;
            from = reply.bytes()?;
            while !reply.is_over() {
                let flaw = reply.bytes()?;
                report
                    .flaws
                    .push(String::from_utf8_lossy(&flaw).into_owned());
            }
            if from.is_empty() || report.flaws.len() > FLAWS {
                return Ok(());
            }
        }
    }
}
