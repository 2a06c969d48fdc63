package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"trailward/store"
)

// storeGauge is one number of a store's status as a metric.
type storeGauge struct {
	desc  *prometheus.Desc
	value func(*store.Status) float64
}

// storeCollector shows how a store is doing. All numbers are of one look at it.
type storeCollector struct {
	store  *store.Store
	gauges []storeGauge
}

// storeMetrics makes the metrics of a store.
func storeMetrics(s *store.Store) prometheus.Collector {
	c := &storeCollector{store: s}
	gauge := func(name, help string, value func(*store.Status) float64) {
		c.gauges = append(c.gauges, storeGauge{prometheus.NewDesc("trailward_store_"+name, help, nil, nil), value})
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("segments", "Segments on the disk.", func(s *store.Status) float64 { return float64(s.Segments) })
	gauge("segment_bytes", "Bytes of the segments, sealed.", func(s *store.Status) float64 { return float64(s.SegmentBytes) })
	gauge("wal_bytes", "Bytes of the write-ahead log: records acknowledged but not yet in a segment.", func(s *store.Status) float64 { return float64(s.WALBytes) })
	gauge("head_bytes", "Bytes of memory of the records that are not yet in a segment.", func(s *store.Status) float64 { return float64(s.HeadBytes) })
	gauge("groups", "Log groups with records.", func(s *store.Status) float64 { return float64(s.Groups) })
	gauge("checkpoint_entries", "Entries of the ledger that its last signed checkpoint has.", func(s *store.Status) float64 { return float64(s.Checkpoint) })
	gauge("ledger_last_entry_timestamp_seconds", "When the ledger's last entry was written; there is one each hour at least. 0: there is none yet.", func(s *store.Status) float64 {
		if s.LastEntry.IsZero() {
			return 0
		}
		return float64(s.LastEntry.UnixMilli()) / 1000
	})
	gauge("retention_clock_timestamp_seconds", "Where the retention clock stands. 0: expiry has not run yet.", func(s *store.Status) float64 {
		if s.Retention.IsZero() {
			return 0
		}
		return float64(s.Retention.UnixMilli()) / 1000
	})
	gauge("disk_free_bytes", "Free bytes on the disk of the data directory; -1: the system does not say.", func(s *store.Status) float64 { return float64(s.FreeBytes) })
	gauge("full", "1: no records are taken until there is room on the disk.", func(s *store.Status) float64 { return flag(s.Full) })
	gauge("failed", "1: a write or sync failed, and no records are taken until a restart.", func(s *store.Status) float64 { return flag(s.Failed) })
	return c
}

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc
	}
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.store.Status()
	for _, g := range c.gauges {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(&st))
	}
}
