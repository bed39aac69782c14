package cabinet

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// spaceTally holds the counts of days that are over: digest of account and clock,
// begin of the day -> keptTally.
const spaceTally storage.Space = 'z'

// keptBINs is how many BINs of a day are kept, those with the most payments.
const keptBINs = 200

// keptTally is a dayTally as stored. A change of what is counted takes another V.
type keptTally struct {
	V       int              `json:"v"`
	Total   cell             `json:"total"`
	Banks   map[string]cell  `json:"banks"`
	BINs    map[string]cell  `json:"bins"`
	Codes   map[string]cell  `json:"codes"`
	Volume  map[string]int64 `json:"volume"`
	Counted time.Time        `json:"counted"`
}

const keptVersion = 1

func keptKey(a payswitch.Account, day time.Time) []byte {
	sum := sha256.Sum256([]byte(accountName(a) + " " + day.Location().String()))
	return binary.BigEndian.AppendUint64(sum[:16:16], uint64(day.Unix()))
}

// kept is the count of a day that an earlier life finished; nil: there is none.
func (t *tallies) kept(a payswitch.Account, day time.Time) *dayTally {
	if t.store == nil {
		return nil
	}
	body, ok, err := t.store.Get(spaceTally, keptKey(a, day), nil)
	var k keptTally
	if err != nil || !ok || json.Unmarshal(body, &k) != nil || k.V != keptVersion {
		return nil // it is counted anew
	}
	return &dayTally{cell: k.Total, banks: k.Banks, bins: k.BINs, codes: k.Codes, volume: k.Volume, counted: k.Counted}
}

// keep makes the count of a day durable, if nothing can change it any more.
func (t *tallies) keep(a payswitch.Account, day time.Time, d *dayTally) {
	if t.store == nil || !d.settled(day) {
		return
	}
	body, err := json.Marshal(keptTally{V: keptVersion, Total: d.cell, Banks: d.banks, BINs: most(d.bins, keptBINs), Codes: d.codes, Volume: d.volume, Counted: d.counted})
	if err != nil {
		return
	}
	var c storage.Command
	c.Set(spaceTally, keptKey(a, day), body)
	_, _ = t.store.Do(&c) // when it fails the next life counts again
}

// most are the n counts with the most payments.
func most(counts map[string]cell, n int) map[string]cell {
	if len(counts) <= n {
		return counts
	}
	names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int { return cmp.Or(counts[y].Tried-counts[x].Tried, cmp.Compare(x, y)) })
	out := map[string]cell{}
	for _, name := range names[:n] {
		out[name] = counts[name]
	}
	return out
}
