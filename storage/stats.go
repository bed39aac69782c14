package storage

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is a moment of the store's life. Counters begin at Open.
type Stats struct {
	Commands      uint64 // made durable
	Records       uint64 // appended
	Groups        uint64 // batches made durable
	Bytes         uint64 // of keys and values in durable commands
	Syncs         uint64 // fsyncs of the log, as the file system saw them
	LastGroup     int    // commands in the last group
	LargestGroup  int
	CommitSeconds float64 // sum over groups, from the oldest command queued to durable
	Queue         int     // commands that wait for the committer
	AppliedSeq    uint64  // batch that is visible to the engine
	DurableSeq    uint64  // batch that is on disk
	Head          [32]byte
	Epoch         uint64
	DiskFree      int64 // bytes, -1: unknown
	ScrubDone     int64 // bytes of the start's tables that were compared with the ledger
	ScrubTotal    int64 // bytes of the start's tables
}

// meter counts what the syncer did.
type meter struct {
	mu     sync.Mutex
	stats  Stats
	commit prometheus.Histogram
	size   prometheus.Histogram
	owner  *collector
}

func (m *meter) init() {
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tranzit_journal_commit_seconds", Help: "Time from queueing a group's oldest command until the group was durable.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 2, 18),
	})
	m.size = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tranzit_journal_group_commands", Help: "Commands that shared one fsync.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 13),
	})
}

// group counts a durable group. now is on the store's own clock.
func (m *meter) group(g *group, now int64) {
	seconds := float64(now-g.oldest.Load()) / 1e9
	m.commit.Observe(seconds)
	m.size.Observe(float64(len(g.items)))
	m.mu.Lock()
	defer m.mu.Unlock()
	st := &m.stats
	st.Commands += uint64(len(g.items))
	st.Records += uint64(g.records)
	st.Groups++
	st.Bytes += uint64(g.bytes)
	st.LastGroup = len(g.items)
	st.LargestGroup = max(st.LargestGroup, len(g.items))
	st.CommitSeconds += seconds
	st.Head = g.head
}

// Stats returns the counters. It is cheap and safe at any time, also after Close.
func (s *Store) Stats() Stats {
	s.meter.mu.Lock()
	st := s.meter.stats
	s.meter.mu.Unlock()
	if st.Groups == 0 {
		st.Head = s.opened
	}
	st.Syncs = s.eng.syncs.Load()
	st.Queue = int(s.queue.length.Load())
	st.DurableSeq, st.AppliedSeq = s.marks.durable.Load(), s.marks.applying.Load()
	st.Epoch, st.DiskFree = s.epoch, s.limits.diskFree.Load()
	st.ScrubDone, st.ScrubTotal = s.scrub.done.Load(), s.scrub.total.Load()
	return st
}

var (
	descCommands = prometheus.NewDesc("tranzit_journal_commands_total", "Commands made durable.", nil, nil)
	descRecords  = prometheus.NewDesc("tranzit_journal_records_total", "Records appended under the hash chain.", nil, nil)
	descBytes    = prometheus.NewDesc("tranzit_journal_bytes_total", "Bytes of keys and values in durable commands.", nil, nil)
	descSyncs    = prometheus.NewDesc("tranzit_journal_fsyncs_total", "Fsyncs of the log.", nil, nil)
	descQueue    = prometheus.NewDesc("tranzit_journal_queue_commands", "Commands that wait for the committer.", nil, nil)
	descOldest   = prometheus.NewDesc("tranzit_journal_oldest_seconds", "Age of the oldest command that is not durable.", nil, nil)
	descSeq      = prometheus.NewDesc("tranzit_journal_durable_batch", "Number of the last durable batch.", nil, nil)
	descEpoch    = prometheus.NewDesc("tranzit_journal_epoch", "Number of times the journal was opened for writing.", nil, nil)
	descFree     = prometheus.NewDesc("tranzit_journal_disk_free_bytes", "Free disk space at the last check.", nil, nil)
	descScrub    = prometheus.NewDesc("tranzit_journal_scrub_done_bytes", "Bytes of the start's tables that were compared with the ledger.", nil, nil)
	descScrubAll = prometheus.NewDesc("tranzit_journal_scrub_bytes", "Bytes of the tables at the start.", nil, nil)
)

// collector shows a store to prometheus.
type collector struct{ s *Store }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCommands, descRecords, descBytes, descSyncs, descQueue, descOldest, descSeq, descEpoch, descFree, descScrub, descScrubAll} {
		ch <- d
	}
	c.s.meter.commit.Describe(ch)
	c.s.meter.size.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	st := c.s.Stats()
	var age float64
	if since := c.s.oldestWaiting(); since > 0 {
		age = float64(c.s.age()-since) / 1e9
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{descCommands, prometheus.CounterValue, float64(st.Commands)},
		{descRecords, prometheus.CounterValue, float64(st.Records)},
		{descBytes, prometheus.CounterValue, float64(st.Bytes)},
		{descSyncs, prometheus.CounterValue, float64(st.Syncs)},
		{descQueue, prometheus.GaugeValue, float64(st.Queue)},
		{descOldest, prometheus.GaugeValue, age},
		{descSeq, prometheus.GaugeValue, float64(st.DurableSeq)},
		{descEpoch, prometheus.GaugeValue, float64(st.Epoch)},
		{descFree, prometheus.GaugeValue, float64(st.DiskFree)},
		{descScrub, prometheus.GaugeValue, float64(st.ScrubDone)},
		{descScrubAll, prometheus.GaugeValue, float64(st.ScrubTotal)},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value)
	}
	c.s.meter.commit.Collect(ch)
	c.s.meter.size.Collect(ch)
}

func (m *meter) register(r prometheus.Registerer, s *Store) error {
	if r == nil {
		return nil
	}
	c := &collector{s: s}
	if err := r.Register(c); err != nil {
		return errors.Join(errors.New("storage: registering metrics"), err)
	}
	m.owner = c
	return nil
}

func (m *meter) unregister(r prometheus.Registerer) {
	if m.owner != nil {
		r.Unregister(m.owner)
	}
}
