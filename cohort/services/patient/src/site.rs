//! The site of a subject, asked of the trial service.

use jiff::{civil::Date, tz::TimeZone};
use tenon::{Context, OrInternal, Result, Timestamp};
use trial_contract::rpc::{GetSiteReq, GetSiteResp, TrialService};

use crate::{
    ServiceContext,
    errors::{SITE_NOT_ACTIVE, TRIAL_NOT_RECRUITING},
};

/// The site, with the state of its study.
///
/// # Errors
/// `TRIAL_NOT_FOUND`, `SITE_NOT_FOUND`, or why the trial service could not be asked.
pub(crate) async fn of(
    cx: &Context,
    svc: &ServiceContext,
    study: &str,
    site: &str,
) -> Result<GetSiteResp> {
    let req = GetSiteReq {
        trial_id: study.to_owned(),
        site_id: site.to_owned(),
    };
    svc.trial.get_site(cx, req).await
}

/// Refuses a site that takes no subjects now. A study that is ready does not yet: its sponsor
/// opens it by letting it recruit.
///
/// # Errors
/// `TRIAL_NOT_RECRUITING`, `SITE_NOT_ACTIVE`.
pub(crate) fn takes_subjects(site: &GetSiteResp) -> Result<()> {
    if site.trial_status != "recruiting" {
        let status = &site.trial_status;
        return Err(TRIAL_NOT_RECRUITING.error().param("status", status));
    }
    if site.status != "active" {
        return Err(SITE_NOT_ACTIVE.error().param("status", &site.status));
    }
    Ok(())
}

/// The day that a moment has in a zone.
///
/// # Errors
/// `INTERNAL` when this machine does not know the zone.
pub(crate) fn day(zone: &str, moment: Timestamp) -> Result<Date> {
    if zone == "UTC" {
        return Ok(moment.to_zoned(TimeZone::UTC).date());
    }
    let zone = TimeZone::get(zone).or_internal("read the time zone of a site")?;
    Ok(moment.to_zoned(zone).date())
}
