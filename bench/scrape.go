package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Counters of the switch that a run divides by its payments.
const (
	metricFsyncs  = "tranzit_journal_fsyncs_total"
	metricGroups  = "tranzit_journal_groups_total"
	metricMallocs = "go_memstats_mallocs_total"
)

// snapshot is the state of every measured process at one moment.
type snapshot struct {
	at      time.Time
	use     map[string]usage
	metrics map[string]float64
	problem error
}

// takeSnapshot reads the counters before the CPU at the start of a span and after
// it at the end, so that the reading itself is not measured: metricsFirst says which.
func takeSnapshot(ctx context.Context, o *Options, subjects []*subject, metricsFirst bool) snapshot {
	s := snapshot{use: map[string]usage{}}
	scrape := func() {
		if o.Admin != "" {
			s.metrics, s.problem = scrapeMetrics(ctx, o.Admin)
		}
	}
	if metricsFirst {
		scrape()
	}
	s.at = time.Now()
	for _, p := range subjects {
		u, err := p.read()
		if err != nil {
			s.problem = fmt.Errorf("%s: %w", p.name, err)
			continue
		}
		s.use[p.name] = u
	}
	if !metricsFirst {
		scrape()
	}
	return s
}

// scrapeMetrics reads the counters a run needs from a Prometheus page.
func scrapeMetrics(ctx context.Context, admin string) (map[string]float64, error) {
	var page bytes.Buffer
	if err := fetch(ctx, admin+"/metrics", &page); err != nil {
		return nil, err
	}
	return parseMetrics(page.String(), metricFsyncs, metricGroups, metricMallocs), nil
}

// parseMetrics sums the samples of the named metrics over their labels. Names
// without a sample are missing in the result.
func parseMetrics(page string, names ...string) map[string]float64 {
	sums := map[string]float64{}
	for line := range strings.Lines(page) {
		for _, name := range names {
			rest, ok := strings.CutPrefix(line, name)
			if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
				continue
			}
			if rest[0] == '{' {
				rest = rest[strings.LastIndexByte(rest, '}')+1:]
			}
			fields := strings.Fields(rest)
			if len(fields) == 0 {
				continue
			}
			if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
				sums[name] += v
			}
		}
	}
	return sums
}
