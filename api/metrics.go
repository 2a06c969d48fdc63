package api

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what the server counts. Labels have few values, all of ours: no
// group, stream, principal or path of a client.
type metrics struct {
	handler http.Handler

	requests     *prometheus.CounterVec   // route, code
	seconds      *prometheus.HistogramVec // route
	inFlight     prometheus.Gauge
	panics       prometheus.Counter
	authFailures *prometheus.CounterVec // reason
	foreign      *prometheus.CounterVec // reason

	bodyBytes  *prometheus.CounterVec // route; as sent
	bodyMemory prometheus.GaugeFunc
	received   *prometheus.CounterVec   // route
	bytes      *prometheus.CounterVec   // route
	stored     *prometheus.CounterVec   // route
	duplicates *prometheus.CounterVec   // route
	conflicts  *prometheus.CounterVec   // route
	damaged    *prometheus.CounterVec   // route
	refused    *prometheus.CounterVec   // route; records that the store could not keep
	rejected   *prometheus.CounterVec   // route, reason; requests that were refused
	acks       prometheus.Histogram     // of batches that were stored
	rows       *prometheus.CounterVec   // route
	queries    *prometheus.HistogramVec // language, result

	tailRecords *prometheus.CounterVec // result
}

// gauges are what metrics asks the server for when they are shown.
type gauges struct {
	bodyMemory, catsRunning, queriesRunning, queriesWaiting, asyncMemory, tails func() float64
}

func (s *Server) gauges() gauges {
	return gauges{
		bodyMemory:     func() float64 { return float64(s.memory.inUse()) },
		catsRunning:    func() float64 { n, _ := s.cats.load(); return float64(n) },
		queriesRunning: func() float64 { n, _ := s.queries.load(); return float64(n) },
		queriesWaiting: func() float64 { _, n := s.queries.load(); return float64(n) },
		asyncMemory:    func() float64 { return float64(s.async.memory.inUse()) },
		tails:          func() float64 { return float64(s.tails.all()) },
	}
}

func newMetrics(reg *prometheus.Registry, g gauges) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, value func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m := &metrics{
		requests: counter("trailward_http_requests_total", "Requests that were answered, by route and status code.", "route", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trailward_http_request_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		inFlight:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailward_http_in_flight_requests", Help: "Requests that are being answered."}),
		panics:       prometheus.NewCounter(prometheus.CounterOpts{Name: "trailward_http_panics_total", Help: "Requests that ended in a panic. Every one is a fault of the program."}),
		authFailures: counter("trailward_auth_failures_total", "Requests without a valid token, by reason: missing, refused, limited, unavailable.", "reason"),
		foreign:      counter("trailward_http_foreign_requests_total", "Requests refused because a web page of another origin may have sent them, by reason: host, origin.", "reason"),
		bodyBytes:    counter("trailward_ingest_body_bytes_total", "Bytes of ingest bodies as they were sent.", "route"),
		bodyMemory:   gauge("trailward_ingest_body_memory_bytes", "Bytes of request bodies held in memory.", g.bodyMemory),
		received:     counter("trailward_ingest_records_received_total", "Records in requests that were within the limits, duplicates included.", "route"),
		bytes:        counter("trailward_ingest_bytes_stored_total", "Bytes of records newly stored.", "route"),
		stored:       counter("trailward_ingest_records_stored_total", "Records newly stored.", "route"),
		conflicts:    counter("trailward_ingest_records_conflict_total", "Records newly stored although one with the same natural key and other content was there.", "route"),
		duplicates:   counter("trailward_ingest_records_duplicate_total", "Records that were stored before.", "route"),
		damaged:      counter("trailward_ingest_records_damaged_total", "Records kept as text because they were not whole.", "route"),
		refused:      counter("trailward_ingest_records_rejected_total", "Records that the store could not keep.", "route"),
		rejected:     counter("trailward_ingest_requests_rejected_total", "Ingest requests that were refused, by reason; of an audit list, pieces may be stored.", "route", "reason"),
		acks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trailward_ingest_ack_seconds", Help: "Time from the header of a batch that was stored to its acknowledgement. Lists of the audit webhook are not in it.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, .75, 1, 1.5, 2.5, 5, 10, 30},
		}),
		rows: counter("trailward_query_rows_total", "Rows handed out.", "route"),
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trailward_query_seconds", Help: "Time of a question in the engine, from its turn to its last row, by language (insights, sql) and result: ok, failed, cancelled.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"language", "result"}),
		tailRecords: counter("trailward_tail_records_total", "Records of live tails, counted for each, by result: sent, skipped.", "result"),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.seconds, m.inFlight, m.panics, m.authFailures, m.foreign, m.bodyBytes, m.bodyMemory,
		m.received, m.stored, m.bytes, m.duplicates, m.conflicts, m.damaged, m.refused, m.rejected, m.acks, m.rows, m.queries, m.tailRecords,
		gauge("trailward_queries_running", "Questions that are being answered, explanations and proofs included.", g.queriesRunning),
		gauge("trailward_cats_running", "Groups that are being read out whole.", g.catsRunning),
		gauge("trailward_queries_waiting", "Questions that wait for their turn.", g.queriesWaiting),
		gauge("trailward_query_results_bytes", "Bytes of the answers to asynchronous questions that are kept.", g.asyncMemory),
		gauge("trailward_tails", "Live tails that are open.", g.tails),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := reg.Register(c); err != nil && !isAlreadyRegistered(err) {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true})
	return m, nil
}

func isAlreadyRegistered(err error) bool {
	_, ok := err.(prometheus.AlreadyRegisteredError)
	return ok
}
