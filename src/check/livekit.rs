//! LiveKit: whether it can be reached, accepts the key and lets a recorder's websocket through, and what its
//! clock says.

use jiff::SignedDuration;

use super::finding::{Finding, Subject, sentence};
use crate::config::LivekitConfig;
use crate::livekit::{Answered, Livekit, LivekitAccess, LivekitError};
use crate::room;

/// From this difference on, a clock should be corrected. The date in the answer is exact to half a second,
/// and the answer takes a moment.
const APART: SignedDuration = SignedDuration::from_secs(3);
/// LiveKit accepts tokens for a minute longer than they say.
const TOO_FAR_APART: SignedDuration = SignedDuration::from_secs(60);

pub async fn check(config: &LivekitConfig) -> Vec<Finding> {
    let url = &config.url;
    let access = LivekitAccess {
        url: url.clone(),
        api_key: config.api_key.clone(),
        api_secret: config.api_secret.clone(),
        ca_file: config.ca_file.clone(),
        give_up_after: config.reconnect_timeout,
    };
    let livekit = match Livekit::new(&config.http_url(), &access) {
        Ok(livekit) => livekit,
        Err(error) => return vec![fault(Subject::Livekit, url, &error)],
    };
    let answered = livekit.ask().await;
    let mut findings = vec![match &answered {
        Ok(_) => Subject::Livekit.ok(format!("{url} answers and takes the API key")),
        Err(error) => fault(Subject::Livekit, url, error),
    }];
    if let Some(tried) = signalling(&livekit, &answered).await {
        findings.push(match tried {
            Ok(()) => Subject::Signalling
                .ok("websockets come through; whether media does, only a recording can tell"),
            Err(error) => fault(Subject::Signalling, url, &error),
        });
    }
    findings.extend(answered.ok().map(clock));
    findings
}

/// Tries the websocket, and the token if LiveKit accepts the key. Returns `None` if LiveKit was not reached,
/// because another finding says so.
async fn signalling(
    livekit: &Livekit,
    answered: &Result<Answered, LivekitError>,
) -> Option<Result<(), LivekitError>> {
    match answered {
        Ok(_) => Some(match livekit.try_websocket().await {
            Ok(()) => livekit.try_token().await,
            stopped => stopped,
        }),
        // Even if LiveKit does not accept the key, the websocket can be tried.
        Err(
            LivekitError::UnknownKey
            | LivekitError::WrongSecret
            | LivekitError::ClocksApart
            | LivekitError::Refused(_)
            | LivekitError::Token(_),
        ) => Some(livekit.try_websocket().await),
        Err(
            LivekitError::CaFile { .. }
            | LivekitError::Certificates { .. }
            | LivekitError::Client(_)
            | LivekitError::Transport(_)
            | LivekitError::NotLivekit(_)
            | LivekitError::NoWebsocket(_)
            | LivekitError::NotLetIn(_),
        ) => None,
    }
}

fn fault(subject: Subject, url: &str, error: &LivekitError) -> Finding {
    let says = sentence(error);
    let advice = match error {
        LivekitError::CaFile { .. } | LivekitError::Certificates { .. } => {
            "EGRESSD_LIVEKIT_CA_FILE must name a file of certificates in PEM".to_owned()
        }
        LivekitError::Client(_) => {
            "TLS cannot be set up: are certificate authorities installed (ca-certificates)?".to_owned()
        }
        LivekitError::Token(_) => "LIVEKIT_API_SECRET must be the secret of LIVEKIT_API_KEY".to_owned(),
        LivekitError::Transport(cause) if room::is_tls_fault(cause) => format!(
            "{url} is reached, but TLS fails: a certificate of an own authority needs EGRESSD_LIVEKIT_CA_FILE, a \
             server without TLS needs ws:// in LIVEKIT_URL_INTERNAL"
        ),
        LivekitError::Transport(_) => {
            format!("nothing answers at {url}: is LIVEKIT_URL_INTERNAL right, and LiveKit running?")
        }
        LivekitError::UnknownKey => {
            "LIVEKIT_API_KEY must be one of the keys in LiveKit's configuration".to_owned()
        }
        LivekitError::WrongSecret => {
            "LIVEKIT_API_SECRET must be what LiveKit's configuration has for LIVEKIT_API_KEY".to_owned()
        }
        LivekitError::ClocksApart => "set the clocks of both machines by NTP".to_owned(),
        LivekitError::NotLivekit(_) => {
            format!("something else answers at {url}: LIVEKIT_URL_INTERNAL must be LiveKit's own URL")
        }
        LivekitError::Refused(_) => {
            "LiveKit's log says why; a proxy before it may have answered in its place".to_owned()
        }
        LivekitError::NoWebsocket(_) => {
            "the proxy before LiveKit must pass on the headers Upgrade and Connection".to_owned()
        }
        LivekitError::NotLetIn(_) => "LiveKit's log says why".to_owned(),
    };
    let says = match error {
        LivekitError::Transport(_) => {
            says.replacen("no answer from LiveKit", &format!("no answer from {url}"), 1)
        }
        _ => says,
    };
    subject.fault(says, advice)
}

fn clock(answered: Answered) -> Finding {
    let Some(ahead) = answered.ahead else {
        return Subject::Clock
            .warning("LiveKit does not say what time it has", "see that both clocks are set by NTP");
    };
    let seconds = (ahead.abs().as_millis() + 500) / 1000;
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let says = format!("LiveKit's clock is {seconds} s {direction} this machine's");
    let advice = "set the clocks of both machines by NTP: tokens are valid for some time only, and callers' signatures \
                  for five minutes";
    match ahead.abs() {
        apart if apart >= TOO_FAR_APART => Subject::Clock.fault(says, advice),
        apart if apart >= APART => Subject::Clock.warning(says, advice),
        _ => Subject::Clock.ok("LiveKit's and this machine's agree"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Grade;

    #[test]
    fn clocks_are_judged_by_how_far_they_are_apart() {
        let grade = |seconds| clock(Answered { ahead: Some(SignedDuration::from_secs(seconds)) }).grade;
        assert_eq!([0, 2, -2].map(grade), [Grade::Ok; 3]);
        assert_eq!([3, -59].map(grade), [Grade::Warning; 2]);
        assert_eq!([60, -4000].map(grade), [Grade::Fault; 2]);
    }

    #[test]
    fn which_clock_is_ahead_is_said() {
        let says = |seconds| clock(Answered { ahead: Some(SignedDuration::from_secs(seconds)) }).says;
        assert_eq!(says(-7), "LiveKit's clock is 7 s behind this machine's");
        assert_eq!(says(70), "LiveKit's clock is 70 s ahead of this machine's");
        assert_eq!(clock(Answered { ahead: None }).grade, Grade::Warning);
    }
}
