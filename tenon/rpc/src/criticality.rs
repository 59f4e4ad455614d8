//! How much a call matters travels with it: what a service calls for a request matters no more
//! than that request.
//!
//! Source: "Handling Overload" of the Google SRE book. A caller can only take from what the
//! contract gives a method, never add to it: the class of a call is the lower one of the two. So
//! no header makes anything be shed later, and who states nothing has what the contract says.

use http::{HeaderMap, HeaderName, HeaderValue};
use tenon_core::Context;
use tenon_resilience::Criticality;

use crate::Method;

/// States the class of the request that a call is made for.
pub(crate) const CRITICALITY: HeaderName = HeaderName::from_static("tenon-criticality");

/// The class of a call. Of several values the lowest counts; what is none of the three states
/// nothing.
pub(crate) fn of_call(method: &Method, headers: &HeaderMap) -> Criticality {
    let values = headers.get_all(CRITICALITY).iter();
    let stated = values.filter_map(|value| Criticality::parse(value.to_str().ok()?));
    stated.fold(method.class(), Criticality::min)
}

/// Tells the service that is called what the call is made for.
pub(crate) fn state(cx: &Context, headers: &mut HeaderMap) {
    if let Some(class) = cx.value::<Criticality>() {
        headers.insert(CRITICALITY, HeaderValue::from_static(class.as_str()));
    }
}
