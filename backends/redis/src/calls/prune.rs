//! What time ends; and words to other tags that a caller left behind.

use tideway::jobs::StoreError;

use crate::scripts::PRUNE;
use crate::store::Inner;

/// One script ends or forgets no more jobs than this.
const AT_ONCE: u32 = 500;

impl Inner {
    pub(crate) async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        let mut all = 0;
        for tag in self.all_tags().await? {
            loop {
                let left = limit - all;
                let asked = left.min(AT_ONCE);
                let mut call = self.call(&tag, &PRUNE);
                call.arg(asked);
                let mut reply = self.run_one(&tag, &PRUNE, call).await?;
                let done = u32::try_from(reply.count()?).unwrap_or(asked);
                let waiting = reply.count()? > 0;
                all += done.min(left);
                if waiting {
                    self.deliver(tag).await?;
                }
                if done < asked || all >= limit {
                    break;
                }
            }
        }
        Ok(u64::from(all))
    }
}
