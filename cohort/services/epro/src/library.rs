//! The compiled questionnaires in memory. A published version never changes, so what was compiled
//! once serves every response to it; the store is asked at a miss only.

use std::sync::Arc;

use clinical::instrument::Questionnaire;
use moka::future::Cache;
use tenon::{Context, Error, OrInternal, Result, store::Db};

use crate::store::questionnaire;

/// How many items the compiled questionnaires may have together: about 100 MB at the worst, a
/// few thousand instruments of usual length.
const ITEMS_MAX: u64 = 100_000;

/// Finds compiled questionnaires. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Library {
    db: Db,
    compiled: Cache<String, Arc<Questionnaire>>,
}

/// Why there is no questionnaire.
enum Miss {
    Unknown,
    Failed(Error),
}

impl Library {
    pub(crate) fn new(db: Db) -> Self {
        let compiled = Cache::builder()
            .max_capacity(ITEMS_MAX)
            .weigher(|_, questionnaire: &Arc<Questionnaire>| {
                u32::try_from(questionnaire.items().len()).unwrap_or(u32::MAX)
            })
            .build();
        Self { db, compiled }
    }

    /// The questionnaire of a canonical `url|version`, or nothing when none is published under
    /// it. Callers that miss together wait for one compilation.
    ///
    /// # Errors
    /// The store's; `INTERNAL` when a stored questionnaire does not compile any more.
    pub(crate) async fn find(
        &self,
        cx: &Context,
        canonical: &str,
    ) -> Result<Option<Arc<Questionnaire>>> {
        if let Some(compiled) = self.compiled.get(canonical).await {
            return Ok(Some(compiled));
        }
        let load = self.load(cx, canonical);
        let loaded = self.compiled.try_get_with_by_ref(canonical, load);
        match cx.run(loaded).await? {
            Ok(compiled) => Ok(Some(compiled)),
            Err(miss) => match &*miss {
                Miss::Unknown => Ok(None),
                Miss::Failed(error) => Err(error.clone()),
            },
        }
    }

    async fn load(&self, cx: &Context, canonical: &str) -> Result<Arc<Questionnaire>, Miss> {
        let (url, version) = canonical.split_once('|').ok_or(Miss::Unknown)?;
        let text = questionnaire::text_of_version(&self.db, cx, url, version)
            .await
            .map_err(Miss::Failed)?
            .ok_or(Miss::Unknown)?;
        let compiled = Questionnaire::from_json(&text)
            .map_err(|problems| format!("{} problems in its text", problems.len()))
            .or_internal("compile a stored questionnaire")
            .map_err(Miss::Failed)?;
        Ok(Arc::new(compiled))
    }
}
