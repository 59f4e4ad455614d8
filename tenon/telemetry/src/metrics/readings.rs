//! Figures that another room keeps and that are read when somebody asks: queue lengths, counters
//! of a library.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

type Labels = Vec<(&'static str, String)>;
type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// What kind of figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// It goes up and down.
    Gauge,
    /// It only grows; its name gets the suffix `_total`.
    Counter,
}

/// All figures that are read, by their names. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(super) struct Readings(Arc<Mutex<BTreeMap<&'static str, Family>>>);

struct Family {
    help: &'static str,
    kind: Figure,
    series: Vec<(Labels, Read)>,
}

impl Readings {
    /// Adds one series. A series of the same name and labels takes the place of the earlier one.
    pub(super) fn add(
        &self,
        kind: Figure,
        (name, help): (&'static str, &'static str),
        labels: Labels,
        read: Read,
    ) {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Family {
            help,
            kind,
            series: Vec::new(),
        });
        family.series.retain(|(others, _)| *others != labels);
        family.series.push((labels, read));
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in &*families {
            let kind = match family.kind {
                Figure::Gauge => MetricType::Gauge,
                Figure::Counter => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for (labels, read) in &family.series {
                let series = metric.encode_family(labels)?;
                match family.kind {
                    Figure::Gauge => ConstGauge::new(read()).encode(series)?,
                    Figure::Counter => ConstCounter::new(read()).encode(series)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}
