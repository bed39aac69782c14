package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

const (
	// scheduleCheck is the longest time between two looks at the schedules, so that
	// a step of the clock delays none for longer.
	scheduleCheck = time.Hour
	// scheduleBatch is how many schedules one look runs.
	scheduleBatch = 256
	// scheduleAgain is the first pause before an attempt that could not begin, or
	// whose outcome is not proven, is looked at again; it grows with the delay.
	scheduleAgain = time.Minute
	// unsentAgain is the pause before a run is tried again whose payment moved no
	// money for no fault of the card.
	unsentAgain = 15 * time.Minute
	// skipBatch is how many runs whose time went by are told in one step.
	skipBatch = 100
)

// scheduler is what the running of schedules holds in memory. The locks come
// before every other and are held over the journal's sync, never over a payment.
type scheduler struct {
	changed chan struct{}
	locks   [64]stripe
}

func (r *scheduler) lock(id ID) sync.Locker { return &r.locks[int(id[15])%len(r.locks)] }

func (r *scheduler) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// runSchedules makes the payments of schedules as they fall due, until the switch
// stops. The journal's index is the timer: it survives restarts.
func (s *Switch) runSchedules() {
	for s.ctx.Err() == nil {
		due, next, err := s.dueSchedules(s.now())
		if err == nil {
			err = each(due, func(id ID) error {
				if s.ctx.Err() != nil {
					return nil
				}
				return s.runSchedule(id)
			})
		}
		pause := scheduleCheck
		switch {
		case err != nil:
			s.log.Error("schedules cannot be read or written", "error", err)
			pause = scheduleAgain
		case len(due) > 0:
			continue
		case !next.IsZero():
			pause = min(max(next.Sub(s.now()), time.Millisecond), scheduleCheck)
		}
		wait(s.ctx, s.scheduled.changed, pause)
	}
}

// dueSchedules are those whose time is come, and when the first of the others is.
func (s *Switch) dueSchedules(now time.Time) (due []ID, next time.Time, err error) {
	err = s.store.Scan(storage.Range{Space: spaceSchedule, Prefix: []byte{scheduleDue}}, func(key, _ []byte) bool {
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:]))).UTC()
		if at.After(now) || len(due) == scheduleBatch {
			next = at
			return false
		}
		due = append(due, ID(key[9:]))
		return true
	})
	return due, next, err
}

// runSchedule does what is due of one schedule: tells runs whose time went by,
// makes the payment of the attempt, or looks what became of it. A run is paid once
// whatever breaks: its attempt is durable before its payment begins, and the
// payment's idempotency key follows from both. On error nothing was done that a
// later look does not do again.
func (s *Switch) runSchedule(id ID) error {
	mu := s.scheduled.lock(id)
	mu.Lock()
	c, run, pay, err := s.beginRun(id)
	mu.Unlock()
	if !pay {
		return err
	}
	account, err := s.AccountOf(c.Merchant, c.Live)
	answer := new(Answer)
	if err == nil {
		answer, err = s.Pay(account, s.runRequest(c))
	}
	mu.Lock()
	defer mu.Unlock()
	return s.endRun(id, run, answer.Payment, err)
}

// beginRun decides what is to be done now, and makes it durable before it is. pay
// says that the attempt's payment is to be made, or asked for again.
// REQUIRES: the schedule's lock.
func (s *Switch) beginRun(id ID) (c *Schedule, run *ScheduleRun, pay bool, err error) {
	c, err = s.readSchedule(id)
	now := s.now()
	if err == nil && c != nil && (c.WakeAt.IsZero() || c.WakeAt.After(now)) {
		return nil, nil, false, nil // another has moved the timer
	}
	if err == nil && c != nil {
		run, err = s.readRun(c)
	}
	zone := time.UTC
	if m := s.dir.Load().byID[c.merchantOrNone()]; m != nil {
		zone = m.TimeZone
	}
	if err != nil || c == nil {
		s.log.Error("a schedule could not be read; it is looked at again later", "schedule", id.Text(SchedulePrefix), "error", err)
		return nil, nil, false, s.moveTimer(id, now)
	}
	was := *c
	begun, err := s.attemptBegun(c)
	switch {
	case err != nil:
		c.WakeAt = now.Add(scheduleAgain)
		run = nil
	case begun:
		return c, run, true, nil
	case c.Status != ScheduleActive:
		// It was halted between the two steps of a run.
		run.Status, run.Reason, c.Running, c.WakeAt = RunSkipped, c.Status, false, time.Time{}
		c.Runs++
		c.Moment++
		c.DueAt, c.Attempt = c.Period.at(c.StartAt, zone, c.Moment), 1
	case c.over(zone, now):
		return nil, nil, false, s.skipRuns(c, run, zone, now)
	case c.Running:
		return c, run, true, nil
	default:
		c.Running, run.Status = true, RunPending
		pay = true
	}
	if err := s.writeSchedule(c, &was, run); err != nil {
		return nil, nil, false, err
	}
	return c, run, pay, nil
}

func (c *Schedule) merchantOrNone() string {
	if c == nil {
		return ""
	}
	return c.Merchant
}

// moveTimer puts a schedule that cannot be read to a later time.
func (s *Switch) moveTimer(id ID, now time.Time) error {
	var cmd storage.Command
	err := s.store.Scan(storage.Range{Space: spaceSchedule, Prefix: []byte{scheduleDue}}, func(key, _ []byte) bool {
		if ID(key[9:]) == id {
			cmd.Delete(spaceSchedule, key)
			cmd.Set(spaceSchedule, scheduleDueKey(now.Add(scheduleCheck), id), nil)
		}
		return true
	})
	if err == nil {
		_, err = s.store.Do(&cmd)
	}
	return err
}

// readRun reads the run that is under way, or begins it.
func (s *Switch) readRun(c *Schedule) (*ScheduleRun, error) {
	run := &ScheduleRun{Number: c.Runs + 1, DueAt: c.DueAt}
	body, ok, err := s.store.Get(spaceSchedule, scheduleRunKey(c.ID, run.Number), nil)
	if err == nil && ok {
		err = json.Unmarshal(body, run)
		run.DueAt = c.DueAt
	}
	return run, err
}

// attemptBegun reports whether the attempt's payment is in the journal.
func (s *Switch) attemptBegun(c *Schedule) (bool, error) {
	m := s.dir.Load().byID[c.Merchant]
	if !c.Running || m == nil {
		return false, nil
	}
	key := s.idempotencyDigest(Account{Merchant: m, Live: c.Live}, c.attemptKey())
	_, begun, err := s.store.Get(spaceKey, key[:], nil)
	return begun, err
}

// over reports whether the time of the run went by: the next one is due, or it is
// late by more than the grace, beside the pauses before its retries.
func (c *Schedule) over(zone *time.Location, now time.Time) bool {
	late := c.Grace
	if c.Attempt > 1 {
		late += time.Duration(c.Retries) * c.RetryEvery
	}
	return now.Sub(c.DueAt) > late || !c.Period.at(c.StartAt, zone, c.Moment+1).After(now)
}

// skipRuns tells the runs whose time went by: all whose successor is due too, and
// the last one if it is later than the grace. REQUIRES: the schedule's lock.
func (s *Switch) skipRuns(c *Schedule, run *ScheduleRun, zone *time.Location, now time.Time) error {
	was := *c
	var cmd storage.Command
	skipped := 0
	reason := "missed"
	if c.Running || c.Attempt > 1 {
		reason = "no_success_in_time"
	}
	for ; skipped < skipBatch && c.Status == ScheduleActive && c.over(zone, now); skipped++ {
		run.Number, run.DueAt, run.Status, run.Reason, run.At = c.Runs+1, c.DueAt, RunSkipped, reason, now
		body, err := json.Marshal(run)
		if err != nil {
			return err
		}
		cmd.Set(spaceSchedule, scheduleRunKey(c.ID, run.Number), body)
		c.advance(zone)
		*run, reason = ScheduleRun{}, "missed"
	}
	c.Version, c.UpdatedAt = was.Version+1, now
	err := c.put(&cmd, &was)
	if err == nil {
		_, err = s.store.Do(&cmd)
	}
	if err != nil {
		return err
	}
	s.metrics.runs.WithLabelValues(RunSkipped).Add(float64(skipped))
	s.log.Warn("runs of a schedule were skipped: their time went by", "schedule", c.ID.Text(SchedulePrefix), "merchant", c.Merchant, "runs", skipped)
	return nil
}

// advance goes on to the next run.
func (c *Schedule) advance(zone *time.Location) {
	c.Runs++
	c.Moment++
	c.DueAt = c.Period.at(c.StartAt, zone, c.Moment)
	c.Attempt, c.Running, c.Payment = 1, false, ID{}
	if c.Status != ScheduleActive {
		c.WakeAt = time.Time{}
		return
	}
	c.WakeAt = c.DueAt
	c.end()
}

// attemptKey is the idempotency key of the attempt's payment: no merchant's key
// can be it, since those are printable.
func (c *Schedule) attemptKey() string {
	key := append([]byte("\x00schedule"), c.ID[:]...)
	key = binary.BigEndian.AppendUint32(key, uint32(c.Runs+1))
	return string(binary.BigEndian.AppendUint32(key, uint32(c.Attempt)))
}

// runRequest is the payment of the attempt. Its fingerprint depends on the attempt
// alone: what is asked for again is always the payment that was made.
func (s *Switch) runRequest(c *Schedule) *PayRequest {
	currency, _ := iso.ParseCurrency(c.Currency) // read when the schedule was made
	key := c.attemptKey()
	return &PayRequest{IdempotencyKey: key, Fingerprint: s.Fingerprint("RUN", "/v1/schedules", []byte(key)), RequestID: c.ID.Text(SchedulePrefix),
		Amount: c.Amount, Currency: currency, OrderID: c.OrderID, Description: c.Description, Initiator: byMerchant, Token: c.Token,
		Schedule: c.ID, run: c.Runs + 1}
}

// endRun takes down what came of an attempt, and goes on.
// REQUIRES: the schedule's lock.
func (s *Switch) endRun(id ID, run *ScheduleRun, p Payment, why error) error {
	c, err := s.readSchedule(id)
	if err != nil || c == nil || !c.Running || c.Runs+1 != run.Number {
		return errors.Join(errRecord, err)
	}
	zone := time.UTC
	if m := s.dir.Load().byID[c.Merchant]; m != nil {
		zone = m.TimeZone
	}
	was, now := *c, s.now()
	if why == nil {
		if n := len(run.Payments); n == 0 || run.Payments[n-1] != p.ID {
			run.Payments = append(run.Payments, p.ID)
		}
		if h, err := s.history(p.ID); err == nil {
			p = h.Payment // a replayed answer is the first one
		}
	}
	switch refusal := (*Refusal)(nil); {
	case why == nil:
		c.judge(run, &p, now, zone)
	case !errors.As(why, &refusal), refusal.RetryAfter > 0:
		c.WakeAt = now.Add(scheduleAgain)
	case refusal.Code == CodeUnknownToken || refusal.Code == CodeCardExpired:
		c.needCard(run, map[bool]string{true: "card_expired", false: "card_deleted"}[refusal.Code == CodeCardExpired])
	default:
		run.Status, run.Reason = RunFailed, string(refusal.Code)
		c.advance(zone)
	}
	if err := s.writeSchedule(c, &was, run); err != nil {
		return err
	}
	if run.Status != RunPending {
		s.metrics.runs.WithLabelValues(run.Status).Inc()
	}
	level := s.log.Info
	if run.Status != RunSucceeded {
		level = s.log.Warn
	}
	level("a run of a schedule", "schedule", id.Text(SchedulePrefix), "merchant", c.Merchant, "run", run.Number, "status", run.Status,
		"reason", run.Reason, "payment", p.ID.Text(PaymentPrefix), "schedule_status", c.Status)
	return nil
}

// lookAgain is the pause before the next look at an attempt: longer the longer it
// takes.
func lookAgain(since time.Duration) time.Duration {
	return min(max(since/4, scheduleAgain), unsentAgain)
}

// needCard stops at a run until there is another card.
func (c *Schedule) needCard(run *ScheduleRun, reason string) {
	run.Status, run.Reason = RunRetrying, reason
	c.Attempt++
	c.Running, c.Payment = false, ID{}
	if c.Status == ScheduleActive {
		c.Status, c.Reason = ScheduleNeedsCard, reason
	}
	c.WakeAt = time.Time{}
}

// judge decides what the attempt's payment means for its run and the schedule.
func (c *Schedule) judge(run *ScheduleRun, p *Payment, now time.Time, zone *time.Location) {
	again := func(pause time.Duration) {
		run.Status = RunRetrying
		c.Attempt++
		c.Running, c.Payment, c.WakeAt = false, ID{}, now.Add(pause)
		if c.Status != ScheduleActive {
			run.Status, run.Reason = RunSkipped, c.Status
			c.advance(zone)
		}
	}
	switch p.Status {
	case StatusInFlight, StatusUnknown, StatusRequiresAction:
		run.Status, c.Payment = RunPending, p.ID
		c.WakeAt = now.Add(lookAgain(now.Sub(p.CreatedAt)))
	case StatusFailed, StatusReversed:
		run.Reason = p.Status.String()
		again(unsentAgain)
	case StatusDeclined:
		run.Reason = p.Decline.Code
		stop := c.stopOf(p.Decline)
		next := c.Period.at(c.StartAt, zone, c.Moment+1)
		switch {
		case stop != "":
			run.Status = RunDeclined
			c.advance(zone)
			if c.Status == ScheduleActive {
				c.Status, c.Reason, c.WakeAt = stop, p.Decline.Code, time.Time{}
			}
		case p.Decline.Retry == "later" && p.Decline.Source == "bank" && c.Attempt <= c.Retries && now.Add(c.RetryEvery).Before(next):
			again(c.RetryEvery)
		default:
			run.Status = RunDeclined
			c.advance(zone)
		}
	default:
		run.Status, run.Reason = RunSucceeded, ""
		c.advance(zone)
	}
}

// stopOf is the state in which a decline leaves the schedule, empty: it goes on.
func (c *Schedule) stopOf(d *Decline) string {
	reason := iso.Declines().Find(d.Code)
	switch {
	case d.Code == "expired_card":
		return ScheduleNeedsCard
	case d.Retry != "never" || reason == nil:
		return ""
	case reason.Stops == iso.StopsMerchantInitiated:
		return SchedulePaused
	case reason.Stops == iso.StopsCard || d.Code == codeRetryNotAllowed:
		return ScheduleNeedsCard
	}
	return ""
}
