package cabinet

import (
	"maps"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Limits of tallies.
const (
	tallyPage    = 100                    // payments of one step
	tallyAtOnce  = 2_000                  // payments that are counted without a rest
	tallyRest    = 19                     // rests are so many times as long as the step before: a twentieth of one core
	tallyLook    = 300 * time.Millisecond // how long a page waits for the count
	tallyFresh   = time.Minute            // how long a count of a day that goes on is good
	tallySettled = 2 * time.Hour          // after its end a day's count does not change any more
	maxTallies   = 4_000                  // days kept, of all accounts
	maxTallyBINs = 2_000                  // of one day
	maxQueue     = 64                     // accounts that wait
)

// cell counts payments of one kind.
type cell struct {
	Tried, Approved int
}

// dayTally are the counts of one day of an account.
type dayTally struct {
	cell
	banks, bins, codes map[string]cell
	volume             map[string]int64 // approved, by currency, minor units
	counted            time.Time        // when the count was made; zero: it is not done yet
}

// tallies count payments for charts, day by day, in the background and at a pace
// that payments do not feel. Days that are over are counted once and kept; others are
// counted again after a start.
type tallies struct {
	sw    *payswitch.Switch
	store *storage.Store // nil: all counts live in memory
	mu    sync.Mutex
	days  map[tallyKey]*dayTally
	work  chan tallyJob
	quit  chan struct{}
	busy  map[string]chan struct{} // by account: closed when its days are counted
	once  sync.Once
	end   sync.Once
	done  sync.WaitGroup
}

type tallyKey struct {
	account string
	day     string
}

type tallyJob struct {
	account payswitch.Account
	days    []time.Time
	done    chan struct{}
}

func (t *tallies) init(sw *payswitch.Switch, store *storage.Store) {
	t.store = store
	t.sw, t.days, t.busy = sw, map[tallyKey]*dayTally{}, map[string]chan struct{}{}
	t.work, t.quit = make(chan tallyJob, maxQueue), make(chan struct{})
}

// stop ends the counting.
func (t *tallies) stop() {
	t.end.Do(func() { close(t.quit) })
	t.done.Wait()
}

func accountName(a payswitch.Account) string { return a.Merchant.ID + " " + modeWord(a.Live) }

// of gives the counts of days of an account, nil for a day that is not counted yet,
// and has those counted that are not.
func (t *tallies) of(a payswitch.Account, days []time.Time) []*dayTally {
	done := t.ask(a, days)
	if done != nil {
		timer := time.NewTimer(tallyLook)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*dayTally, len(days))
	for i, day := range days {
		out[i] = t.days[keyOf(a, day)]
	}
	return out
}

func keyOf(a payswitch.Account, day time.Time) tallyKey {
	return tallyKey{accountName(a), day.Format(time.DateOnly)}
}

// ask queues what is missing or stale; nil: nothing is.
func (t *tallies) ask(a payswitch.Account, days []time.Time) chan struct{} {
	t.once.Do(func() { t.done.Go(t.run) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if running := t.busy[accountName(a)]; running != nil {
		return running
	}
	job := tallyJob{account: a, done: make(chan struct{})}
	for _, day := range days {
		if !t.days[keyOf(a, day)].good(day, time.Now()) {
			job.days = append(job.days, day)
		}
	}
	if len(job.days) == 0 {
		return nil
	}
	select {
	case t.work <- job:
		t.busy[accountName(a)] = job.done
		return job.done
	default:
		return nil
	}
}

// good reports a count that needs no other.
func (d *dayTally) good(day, now time.Time) bool {
	if d == nil {
		return false
	}
	return now.Sub(d.counted) < tallyFresh || d.settled(day)
}

// settled reports a count that was made when nothing could change it any more.
func (d *dayTally) settled(day time.Time) bool {
	return d.counted.After(day.AddDate(0, 0, 1).Add(tallySettled))
}

func (t *tallies) run() {
	for {
		select {
		case <-t.quit:
			return
		case job := <-t.work:
			quick := tallyAtOnce
			for i := len(job.days) - 1; i >= 0; i-- { // the newest first
				if !t.count(job.account, job.days[i], &quick) {
					break
				}
			}
			t.mu.Lock()
			delete(t.busy, accountName(job.account))
			t.mu.Unlock()
			close(job.done)
		}
	}
}

// count counts one day; false: it was stopped, or the journal could not be read.
func (t *tallies) count(a payswitch.Account, day time.Time, quick *int) bool {
	if kept := t.kept(a, day); kept != nil {
		t.remember(a, day, kept)
		return true
	}
	d := &dayTally{banks: map[string]cell{}, bins: map[string]cell{}, codes: map[string]cell{}, volume: map[string]int64{}}
	query := payswitch.ListQuery{CreatedFrom: day, CreatedTo: day.AddDate(0, 0, 1), Limit: tallyPage}
	for {
		begun := time.Now()
		page, err := t.sw.List(a, query)
		if err != nil {
			return false
		}
		for i := range page.Payments {
			d.add(&page.Payments[i])
		}
		if !page.More {
			break
		}
		query.Cursor = page.Next
		rest := time.Duration(0)
		if *quick -= len(page.Payments); *quick <= 0 {
			rest = tallyRest * time.Since(begun)
		}
		select {
		case <-t.quit:
			return false
		case <-time.After(rest):
		}
	}
	d.counted = time.Now()
	t.keep(a, day, d)
	t.remember(a, day, d)
	return true
}

// remember shows a count to pages, and forgets others when there are too many.
func (t *tallies) remember(a payswitch.Account, day time.Time, d *dayTally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.days) >= maxTallies {
		for key := range t.days {
			if delete(t.days, key); len(t.days) < maxTallies*3/4 {
				break
			}
		}
	}
	t.days[keyOf(a, day)] = d
}

// add counts one payment. One whose outcome is not proven counts as tried.
func (d *dayTally) add(p *payswitch.Payment) {
	one := cell{Tried: 1}
	if p.AmountAuthorized > 0 || p.AmountCaptured > 0 {
		one.Approved = 1
		d.volume[p.Currency.Alpha()] += max(p.AmountCaptured, p.AmountAuthorized)
	}
	d.cell.plus(one)
	tally := func(in map[string]cell, name string, most int) {
		if name == "" {
			return
		}
		c, known := in[name]
		if !known && len(in) >= most {
			return
		}
		c.plus(one)
		in[name] = c
	}
	tally(d.banks, p.Bank, 1_000)
	tally(d.bins, p.Card.BIN, maxTallyBINs)
	code := p.ResponseCode
	if code == "" {
		code = p.Status.String()
	}
	tally(d.codes, code, 1_000)
}

func (c *cell) plus(o cell) {
	c.Tried += o.Tried
	c.Approved += o.Approved
}

// sum adds the counts of days up.
func sum(days []*dayTally, of func(*dayTally) map[string]cell) map[string]cell {
	all := map[string]cell{}
	for _, d := range days {
		if d == nil {
			continue
		}
		for name, c := range maps.All(of(d)) {
			total := all[name]
			total.plus(c)
			all[name] = total
		}
	}
	return all
}
