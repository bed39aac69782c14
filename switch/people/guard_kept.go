package people

import (
	"encoding/json"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// keptShare is from which part of a limit on what was spent is kept: a slip of the
// fingers costs no write, and who is at the limit stays there over a restart.
const keptShare = 0.5

// keptBucket is a bucket as stored, under the digest of its name: what strangers type
// is not kept.
type keptBucket struct {
	name   string        // in guard.buckets
	Spent  float64       `json:"spent"`
	At     time.Time     `json:"at"`
	Refill time.Duration `json:"refill"`
}

// guardName is what a bucket is known by.
func guardName(name string) string {
	d := digestOf(name)
	return string(d[:16])
}

// keepTries writes down how full buckets are. When it fails it is said in the log, and
// a restart would forgive.
func (p *People) keepTries(buckets []keptBucket) {
	var c storage.Command
	for i := range buckets {
		if set(&c, spacePeople, key(peopleGuard, []byte(buckets[i].name)), &buckets[i]) != nil {
			return
		}
	}
	if len(buckets) > 0 {
		_ = p.do(&c) // it logs
	}
}

// loadTries takes up what earlier lives held against anybody, and forgets what time
// has forgiven.
func (p *People) loadTries() error {
	now := p.now()
	var over [][]byte
	err := p.store.Scan(storage.Range{Space: spacePeople, Prefix: key(peopleGuard)}, func(name, body []byte) bool {
		var k keptBucket
		if json.Unmarshal(body, &k) != nil {
			return true
		}
		b := &bucket{spent: k.Spent, at: k.At, refill: k.Refill}
		if b.settle(now); b.spent == 0 {
			over = append(over, append([]byte{}, name...))
			return len(over) < storage.MaxSteps/2
		}
		p.guard.buckets[string(name[1:])] = b
		return len(p.guard.buckets) < guardEntries
	})
	if err != nil || len(over) == 0 {
		return err
	}
	var c storage.Command
	for _, name := range over {
		c.Delete(spacePeople, name)
	}
	return p.do(&c)
}
