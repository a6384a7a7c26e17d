//! Frees the disk space of uploaded media in a spool that still grows.
//!
//! Contract: it frees only whole pages of media that the store has acknowledged. It never frees a box, the
//! media of part 1, or the end of the recording, from which a successor resumes. The database is told before.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;

use rustix::fs::{FallocateFlags, fallocate};

use super::error::UploadError;
use crate::mp4::SpoolRange;
use crate::upload::spool::Spool;
use crate::upload::transfer::Transfer;

/// How many fragments at the end are kept. At a third of a second each they are more than 10 s, and five
/// times the distance of keyframes.
const KEPT_FRAGMENTS: usize = 40;
/// Fewer bytes are not worth a commit to the database.
const LEAST: u64 = 4 * 1024 * 1024;
/// The usual block size of file systems. A file system with larger blocks keeps the blocks that are freed
/// only in part.
const PAGE: u64 = 4096;

/// Removes uploaded media from the spool, if it is much.
pub async fn release(transfer: &mut Transfer, spool: &Spool) -> Result<(), UploadError> {
    let media = spool.media();
    let up_to = transfer.acknowledged(media.len_without_last(KEPT_FRAGMENTS));
    let from = transfer.released().max(transfer.cutting().kept_back());
    if up_to < from + LEAST {
        return Ok(());
    }
    transfer.release(up_to).await?;
    let pages: Vec<_> = media.places(&(from..up_to)).iter().filter_map(whole_pages).collect();
    let path = spool.path().to_owned();
    let punched = tokio::task::spawn_blocking(move || {
        let file = OpenOptions::new().write(true).open(path)?;
        pages.into_iter().try_for_each(|pages| punch(&file, &pages))
    });
    // The spool is not harmed by a failure. If the disk runs full, the recording ends properly.
    match punched.await.map_err(io::Error::other).and_then(|punched| punched) {
        Ok(()) => tracing::info!(bytes = up_to - from, "uploaded media is removed from the spool"),
        Err(error) => tracing::warn!(%error, "uploaded media cannot be removed from the spool"),
    }
    Ok(())
}

/// Returns the pages that are completely inside a range.
fn whole_pages(range: &SpoolRange) -> Option<Range<u64>> {
    let start = range.offset.next_multiple_of(PAGE);
    let end = (range.offset + range.len) / PAGE * PAGE;
    (start < end).then_some(start..end)
}

fn punch(file: &File, pages: &Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, pages.start, pages.end - pages.start)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_lie_in_the_media_completely_go() {
        let pages = |offset, len| whole_pages(&SpoolRange { offset, len });
        assert_eq!(pages(0, 4095), None);
        assert_eq!(pages(1, 8191), Some(4096..8192));
        assert_eq!(pages(4096, 4096), Some(4096..8192));
        assert_eq!(pages(4097, 8190), None);
        assert_eq!(pages(5000, 20_000), Some(8192..24_576));
    }
}
