//! One script for several items: by tag, in parts that hold nobody up, all at once; what is said comes in the order of
//! the items.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redis::Cmd;
use tideway::jobs::StoreError;

use super::{CHUNK, CHUNK_BYTES, Reply};
use crate::error::{in_doubt, unreadable};
use crate::nodes::Tag;
use crate::scripts::Script;
use crate::store::Inner;

/// About how many bytes of a call an item takes, without its payload and the like.
const ITEM: usize = 224;

impl Inner {
    /// What `script` says to each item; `by_tag` has their places. `size` tells about how many bytes one takes, `fill`
    /// adds some of one tag to the arguments. Of a reply, `sent` reads how many words are to be delivered, then `read`
    /// what is said to each.
    pub(super) async fn each<T>(
        &self,
        script: &Script,
        by_tag: &BTreeMap<Tag, Vec<usize>>,
        size: impl Fn(usize) -> usize + Sync,
        fill: impl Fn(&mut Cmd, &Tag, &[usize]) + Sync,
        sent: impl Fn(&mut Reply) -> Result<u64, StoreError> + Sync,
        read: impl Fn(&mut Reply) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
    {
        let (size, fill, sent, read) = (&size, &fill, &sent, &read);
        let all = by_tag.iter().map(|(tag, places)| async move {
            let calls = chunks(places, size).map(|chunk| {
                let bytes: usize = chunk.iter().map(|at| size(*at) + ITEM).sum();
                let mut call = self.call_of(tag, script, bytes);
                fill(&mut call, tag, chunk);
                call
            });
            let replies = self.run(tag, script, calls.collect()).await?;
            let mut said = Vec::with_capacity(places.len());
            let mut words = 0;
            for mut reply in replies {
                words += sent(&mut reply)?;
                while !reply.is_over() {
                    said.push(read(&mut reply)?);
                }
            }
            if words > 0 {
                self.deliver(*tag).await?;
            }
            Ok::<_, StoreError>(said)
        });
        // To the end: what one tag refuses, another may have done.
        let said = join_all(all).await;
        let done = |said: &Result<_, _>| matches!(said, Ok(_) | Err(StoreError::Ambiguous(_)));
        let begun = !script.asks && said.iter().any(done);
        let said: Result<Vec<Vec<T>>, StoreError> = said.into_iter().collect();
        let said = said.map_err(|error| if begun { in_doubt(error) } else { error })?;
        let count = by_tag.values().map(Vec::len).sum();
        let mut out: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
        for (places, said) in by_tag.values().zip(said) {
            for (at, one) in places.iter().zip(said) {
                out[*at] = Some(one);
            }
        }
        let out: Option<Vec<T>> = out.into_iter().collect();
        out.ok_or_else(unreadable)
    }
}

/// For replies that begin with no number of words.
pub(super) fn no_words(_: &mut Reply) -> Result<u64, StoreError> {
    Ok(0)
}

/// Parts of `places` that one script takes, by the bytes of each.
fn chunks(places: &[usize], size: impl Fn(usize) -> usize) -> impl Iterator<Item = &[usize]> {
    let mut rest = places;
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        for at in rest.iter().take(CHUNK) {
            bytes += size(*at);
            if count > 0 && bytes > CHUNK_BYTES {
                break;
            }
            count += 1;
        }
        let (chunk, left) = rest.split_at(count);
        rest = left;
        (!chunk.is_empty()).then_some(chunk)
    })
}
