//! How far a server's clock is ahead of this machine's, by the `Date` of its response. Pure.

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// A date is truncated to whole seconds: on average half a second is missing.
const CUT_OFF: SignedDuration = SignedDuration::from_millis(500);

/// `date` is the HTTP date (RFC 9110, section 5.6.7) of a response that was made between `sent` and
/// `received`.
pub fn ahead(date: &str, sent: Timestamp, received: Timestamp) -> Option<SignedDuration> {
    let there = DateTimeParser::new().parse_timestamp(date).ok()?;
    let halfway = received.duration_since(sent) / 2;
    Some(there.duration_since(sent) + CUT_OFF - halfway)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Thu, 26 Nov 2026 14:33:52 GMT";

    fn seconds(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn clocks_that_agree_differ_by_less_than_half_a_second() {
        for millis in [0, 400, 999] {
            let now = seconds("2026-11-26T14:33:52Z") + SignedDuration::from_millis(millis);
            let ahead = ahead(DATE, now, now).unwrap();
            assert!(ahead.abs() <= CUT_OFF, "{ahead}");
        }
    }

    #[test]
    fn the_time_that_an_answer_takes_is_no_difference() {
        let (sent, received) = (seconds("2026-11-26T14:33:50.5Z"), seconds("2026-11-26T14:33:54.5Z"));
        assert_eq!(ahead(DATE, sent, received), Some(SignedDuration::ZERO));
    }

    #[test]
    fn a_clock_may_be_ahead_and_behind() {
        let (earlier, later) = (seconds("2026-11-26T14:33:42.5Z"), seconds("2026-11-26T14:34:52.5Z"));
        assert_eq!(ahead(DATE, earlier, earlier), Some(SignedDuration::from_secs(10)));
        assert_eq!(ahead(DATE, later, later), Some(SignedDuration::from_secs(-60)));
    }

    #[test]
    fn what_is_no_date_says_nothing() {
        let now = Timestamp::now();
        assert_eq!(ahead("yesterday", now, now), None);
    }
}
