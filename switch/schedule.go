package payswitch

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// SchedulePrefix is the TypeID prefix of a schedule.
const SchedulePrefix = "sch"

// spaceSchedule holds schedules. The first byte of a key says what stands there:
// the bytes are stored, never reuse one.
const spaceSchedule storage.Space = 's'

const (
	scheduleHead  = 'h' // schedule id -> Schedule as it is
	scheduleFirst = 'c' // schedule id -> firstSchedule: as it was made
	scheduleList  = 'l' // account digest, schedule id: lists
	scheduleDue   = 'd' // milliseconds, schedule id: when it is looked at next
	scheduleRun   = 'r' // schedule id, number -> ScheduleRun
	scheduleToken = 't' // token id, schedule id: those that a card pays
)

// The states of a schedule.
const (
	ScheduleActive    = "active"
	SchedulePaused    = "paused"
	ScheduleNeedsCard = "needs_card" // its card expired, was deleted or may not be charged: replace it
	ScheduleCanceled  = "canceled"
	ScheduleCompleted = "completed" // its end or its count is reached
)

// The ones who make a schedule's payments.
const (
	RunBySwitch = "switch"
	RunByShop   = "shop"
)

// The states of a run.
const (
	RunPending   = "pending"  // its payment is being made, or its outcome is not proven
	RunRetrying  = "retrying" // declined; tried again later
	RunSucceeded = "succeeded"
	RunDeclined  = "declined"
	RunFailed    = "failed"  // it could not be paid; nothing was sent
	RunSkipped   = "skipped" // its time went by
)

// Limits of schedules.
const (
	MaxScheduleRuns    = 10_000
	MaxScheduleRetries = 10
)

// Schedule is an agreement on payments at regular times with a saved card, made
// by the switch or by the shop itself. It is a value, safe to copy. Amounts are
// minor units of Currency; times are UTC with milliseconds.
type Schedule struct {
	ID       ID
	Version  uint32 // +1 with each change
	Merchant string
	Live     bool
	Status   string
	Reason   string // of a status that is not active: one word

	RunBy     string
	Token     ID
	Customer  string
	Amount    int64 // of the switch's payments; 0: the shop's
	MinAmount int64 // 0: no bound
	MaxAmount int64 // 0: no bound
	Currency  string
	Period    Period
	StartAt   time.Time
	EndAt     time.Time // no payment after it; zero: no end
	Count     int       // runs in all, skipped ones included; 0: no end

	Retries     int           // how often a declined run is tried again, within the scheme's rules
	RetryEvery  time.Duration // pause before each
	Grace       time.Duration // how late a run may be made
	OrderID     string
	Description string

	Runs      int       // that are over
	DueAt     time.Time // of the next run, or of the one that is under way; zero: there is none
	CreatedAt time.Time
	UpdatedAt time.Time

	Moment  int       // number of the period's moment that DueAt is
	WakeAt  time.Time // when it is looked at next; zero: not
	Attempt int       // of the run, from 1
	Running bool      // the attempt's payment may have been made
	Payment ID        // the attempt's payment, while its outcome is not proven
}

// ScheduleRun is one run of a schedule.
type ScheduleRun struct {
	Number   int // from 1
	DueAt    time.Time
	Status   string
	Reason   string // of one that did not succeed: one word
	Payments []ID   // its attempts, the newest last
	At       time.Time
}

type firstSchedule struct {
	Schedule    Schedule
	Fingerprint Fingerprint
}

// ScheduleRequest asks for a schedule. Zero members have the defaults told.
type ScheduleRequest struct {
	IdempotencyKey string
	Fingerprint    Fingerprint
	Wish           Schedule // RunBy to Description
}

func scheduleKey(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

func scheduleRunKey(id ID, n int) []byte {
	return binary.BigEndian.AppendUint32(scheduleKey(scheduleRun, id), uint32(n))
}

func scheduleListKey(account [8]byte, id ID) []byte {
	return append(append([]byte{scheduleList}, account[:]...), id[:]...)
}

func scheduleTokenKey(token, id ID) []byte {
	return append(scheduleKey(scheduleToken, token), id[:]...)
}

func scheduleDueKey(at time.Time, id ID) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{scheduleDue}, uint64(at.UnixMilli())), id[:]...)
}

// scheduleClaim is what the idempotency key of a schedule holds: no payment's,
// operation's or batch's looks like it.
func scheduleClaim(id ID) []byte { return append(append(make([]byte, 0, len(id)+1), id[:]...), 's') }

func (c *Schedule) account() [8]byte {
	mode := "test"
	if c.Live {
		mode = "live"
	}
	return digestAccount(mode, c.Merchant)
}

// put writes the schedule in place of what it was, and moves its timer.
func (c *Schedule) put(cmd *storage.Command, was *Schedule) error {
	if was != nil && !was.WakeAt.IsZero() {
		cmd.Delete(spaceSchedule, scheduleDueKey(was.WakeAt, c.ID))
	}
	if !c.WakeAt.IsZero() {
		cmd.Set(spaceSchedule, scheduleDueKey(c.WakeAt, c.ID), nil)
	}
	if was != nil && was.Token != c.Token {
		cmd.Delete(spaceSchedule, scheduleTokenKey(was.Token, c.ID))
	}
	if was == nil || was.Token != c.Token {
		cmd.Set(spaceSchedule, scheduleTokenKey(c.Token, c.ID), nil)
	}
	body, err := json.Marshal(c)
	cmd.Set(spaceSchedule, scheduleKey(scheduleHead, c.ID), body)
	return err
}

// readSchedule returns nil when there is no such schedule.
func (s *Switch) readSchedule(id ID) (*Schedule, error) {
	body, ok, err := s.store.Get(spaceSchedule, scheduleKey(scheduleHead, id), nil)
	if err != nil || !ok {
		return nil, err
	}
	c := new(Schedule)
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("schedule %s: %w", id.Text(SchedulePrefix), errRecord)
	}
	return c, nil
}

var errNoSchedule = &Refusal{Code: CodeNotFound, Detail: "There is no such schedule."}

func (s *Switch) ownedSchedule(a Account, id ID) (*Schedule, error) {
	c, err := s.readSchedule(id)
	switch {
	case err != nil:
		s.log.Error("a schedule could not be read", "schedule", id.Text(SchedulePrefix), "error", err)
		return nil, errInternal
	case c == nil || c.Merchant != a.Merchant.ID || c.Live != a.Live:
		return nil, errNoSchedule
	}
	return c, nil
}

// Schedule shows a schedule. Errors are refusals.
func (s *Switch) Schedule(a Account, id ID) (Schedule, error) {
	c, err := s.ownedSchedule(a, id)
	if err != nil {
		return Schedule{}, err
	}
	return *c, nil
}

func badSchedule(pointer, format string, args ...any) *Refusal {
	return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}

// CreateSchedule makes a schedule of a saved card. A repeat under its key and with
// the same request gets the schedule as it was made. Errors are refusals.
func (s *Switch) CreateSchedule(a Account, r *ScheduleRequest) (made Schedule, replayed bool, err error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	if held, ok, err := s.store.Get(spaceKey, key[:], nil); err != nil {
		return made, false, errInternal
	} else if ok {
		made, err = s.firstSchedule(r.Fingerprint, held)
		return made, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return made, false, err
	}
	c, now := r.Wish, s.now()
	c.ID, c.Version, c.Merchant, c.Live, c.Status, c.CreatedAt, c.UpdatedAt = s.ids.next(now), 1, a.Merchant.ID, a.Live, ScheduleActive, now, now
	c.RunBy = cmp.Or(c.RunBy, RunBySwitch)
	if err := s.agree(a, &c, now); err != nil {
		return made, false, err
	}
	var cmd storage.Command
	cmd.Claim(spaceKey, key[:], scheduleClaim(c.ID))
	first, err := json.Marshal(firstSchedule{c, r.Fingerprint})
	if err = cmp.Or(err, c.put(&cmd, nil)); err != nil {
		return made, false, errInternal
	}
	cmd.Set(spaceSchedule, scheduleKey(scheduleFirst, c.ID), first)
	cmd.Set(spaceSchedule, scheduleListKey(c.account(), c.ID), nil)
	result, err := s.store.Do(&cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused a schedule", "error", err)
		return made, false, errInternal
	case result.Kind == storage.Exists:
		made, err = s.firstSchedule(r.Fingerprint, result.Value)
		return made, err == nil, err
	}
	s.log.Info("a schedule was made", "schedule", c.ID.Text(SchedulePrefix), "merchant", c.Merchant, "live", c.Live, "run_by", c.RunBy)
	s.scheduled.signal()
	return c, false, nil
}

// firstSchedule is the answer to a repeat.
func (s *Switch) firstSchedule(fingerprint Fingerprint, held []byte) (Schedule, error) {
	if len(held) != len(ID{})+1 || held[len(ID{})] != 's' {
		return Schedule{}, errKeyReused
	}
	var first firstSchedule
	body, ok, err := s.store.Get(spaceSchedule, scheduleKey(scheduleFirst, ID(held[:len(ID{})])), nil)
	switch {
	case err != nil || !ok || json.Unmarshal(body, &first) != nil:
		return Schedule{}, errInternal
	case first.Fingerprint != fingerprint:
		return Schedule{}, errKeyReused
	}
	return first.Schedule, nil
}

// agree completes a new schedule and holds its members to each other.
func (s *Switch) agree(a Account, c *Schedule, now time.Time) error {
	t, err := s.ownedToken(a, c.Token)
	switch {
	case errors.Is(err, errNoToken):
		return &Refusal{Code: CodeUnknownToken, Pointer: "/token", Detail: "There is no such saved card."}
	case err != nil:
		return err
	case t.Card.Expiry.Expired(now):
		return &Refusal{Code: CodeCardExpired, Pointer: "/token", Detail: "The saved card has expired."}
	}
	c.Customer = t.Customer
	if c.StartAt.IsZero() {
		c.StartAt = now
	}
	c.StartAt, c.EndAt = c.StartAt.UTC().Truncate(time.Millisecond), c.EndAt.UTC().Truncate(time.Millisecond)
	bySwitch := c.RunBy == RunBySwitch
	switch {
	case bySwitch == (c.Amount == 0):
		return badSchedule("/amount", "The switch's schedule has an amount, the shop's has none.")
	case c.MaxAmount != 0 && c.MinAmount > c.MaxAmount:
		return badSchedule("/max_amount", "Must not be less than min_amount.")
	case bySwitch && !c.allows(c.Amount):
		return badSchedule("/amount", "Must be within min_amount and max_amount.")
	case c.StartAt.Before(now.Add(-time.Minute)):
		return badSchedule("/start_at", "Must not lie in the past.")
	case !c.EndAt.IsZero() && c.EndAt.Before(c.StartAt):
		return badSchedule("/end_at", "Must not be before the start.")
	case !bySwitch && (c.Period != Period{} || c.Count != 0 || c.Retries != 0 || c.RetryEvery != 0 || c.Grace != 0):
		return badSchedule("/run_by", "The shop's schedule has no period, count, retry and grace: the shop keeps them.")
	case !bySwitch:
		return nil
	case c.Period == Period{}:
		return &Refusal{Code: CodeInvalidRequest, Pointer: "/period", Detail: "The switch's schedule has a period."}
	}
	c.RetryEvery, c.Grace = cmp.Or(c.RetryEvery, 24*time.Hour), cmp.Or(c.Grace, 24*time.Hour)
	c.DueAt, c.WakeAt, c.Attempt = c.StartAt, c.StartAt, 1
	return nil
}

// allows reports whether an amount is within the bounds agreed on.
func (c *Schedule) allows(amount int64) bool {
	return amount >= c.MinAmount && (c.MaxAmount == 0 || amount <= c.MaxAmount)
}

// changeSchedule gives a schedule of the account a new version. A change that
// leaves it as it is, is none. Errors are refusals.
func (s *Switch) changeSchedule(a Account, id ID, what string, change func(c *Schedule, now time.Time) error) (Schedule, error) {
	if err := s.accepting(); err != nil {
		return Schedule{}, err
	}
	mu := s.scheduled.lock(id)
	mu.Lock()
	defer mu.Unlock()
	c, err := s.ownedSchedule(a, id)
	if err != nil {
		return Schedule{}, err
	}
	was, now := *c, s.now()
	if err := change(c, now); err != nil {
		return Schedule{}, err
	}
	if *c == was {
		return was, nil
	}
	if err := s.writeSchedule(c, &was, nil); err != nil {
		return Schedule{}, errInternal
	}
	s.log.Info("a schedule was changed", "change", what, "schedule", id.Text(SchedulePrefix), "status", c.Status)
	return *c, nil
}

// writeSchedule makes a change durable, with the run it is about, if any.
// REQUIRES: the schedule's lock.
func (s *Switch) writeSchedule(c, was *Schedule, run *ScheduleRun) error {
	c.Version, c.UpdatedAt = was.Version+1, s.now()
	var cmd storage.Command
	err := c.put(&cmd, was)
	if run != nil {
		run.At = c.UpdatedAt
		body, bad := json.Marshal(run)
		err = cmp.Or(err, bad)
		cmd.Set(spaceSchedule, scheduleRunKey(c.ID, run.Number), body)
	}
	if err == nil {
		_, err = s.store.Do(&cmd)
	}
	if err != nil {
		s.log.Error("journal refused a change of a schedule", "schedule", c.ID.Text(SchedulePrefix), "error", err)
		return err
	}
	s.scheduled.signal()
	return nil
}

func overSchedule(c *Schedule) error {
	if c.Status == ScheduleCanceled || c.Status == ScheduleCompleted {
		return wrongState("This schedule is %s for good.", c.Status)
	}
	return nil
}

// PauseSchedule stops a schedule until it is resumed; a run that is under way is
// finished. Errors are refusals.
func (s *Switch) PauseSchedule(a Account, id ID) (Schedule, error) {
	return s.changeSchedule(a, id, "paused", func(c *Schedule, _ time.Time) error {
		if err := overSchedule(c); err != nil {
			return err
		}
		c.halt(SchedulePaused, "by_merchant")
		return nil
	})
}

// halt ends the looking at a schedule, save for the attempt that may have been made.
func (c *Schedule) halt(status, reason string) {
	if c.Status == status {
		return
	}
	c.Status, c.Reason = status, reason
	if !c.Running {
		c.WakeAt = time.Time{}
	}
}

// ResumeSchedule goes on with a paused schedule, or with one whose card was
// replaced, at its next moment: none that went by is made up for, except the run
// that waited for its card, within its grace. Errors are refusals.
func (s *Switch) ResumeSchedule(a Account, id ID) (Schedule, error) {
	return s.changeSchedule(a, id, "resumed", func(c *Schedule, now time.Time) error {
		if err := overSchedule(c); err != nil {
			return err
		}
		c.resume(now, a.Merchant.TimeZone)
		return nil
	})
}

func (c *Schedule) resume(now time.Time, zone *time.Location) {
	if c.Status == ScheduleActive {
		return
	}
	waited := c.Status == ScheduleNeedsCard && now.Sub(c.DueAt) <= c.Grace
	c.Status, c.Reason = ScheduleActive, ""
	if c.RunBy != RunBySwitch || c.Running {
		return
	}
	for c.DueAt.Before(now) && !waited {
		c.Moment++
		c.DueAt = c.Period.at(c.StartAt, zone, c.Moment) // the run keeps its number and counts its attempts on
	}
	c.WakeAt = c.DueAt
	c.end()
}

// end completes a schedule that has no run left.
func (c *Schedule) end() {
	if c.Count != 0 && c.Runs >= c.Count || c.Runs >= MaxScheduleRuns || !c.EndAt.IsZero() && c.DueAt.After(c.EndAt) {
		c.Status, c.Reason, c.DueAt, c.WakeAt = ScheduleCompleted, "", time.Time{}, time.Time{}
	}
}

// CancelSchedule ends a schedule for good; a run that is under way is finished.
// Canceling twice is no error. Errors are refusals.
func (s *Switch) CancelSchedule(a Account, id ID) (Schedule, error) {
	return s.changeSchedule(a, id, "canceled", func(c *Schedule, _ time.Time) error {
		if c.Status == ScheduleCompleted {
			return overSchedule(c)
		}
		c.halt(ScheduleCanceled, "by_merchant")
		return nil
	})
}

// ScheduleChange is what may be changed of a schedule. Zero members stay.
type ScheduleChange struct {
	Amount int64
	Token  ID
}

// ChangeSchedule changes the amount, within the bounds agreed on, or the card, of
// the same customer; runs from the next attempt on go by it. Another card makes one
// that needs a card go on. Errors are refusals.
func (s *Switch) ChangeSchedule(a Account, id ID, w ScheduleChange) (Schedule, error) {
	return s.changeSchedule(a, id, "changed", func(c *Schedule, now time.Time) error {
		if err := overSchedule(c); err != nil {
			return err
		}
		if w.Amount != 0 {
			if c.RunBy != RunBySwitch || !c.allows(w.Amount) {
				return badSchedule("/amount", "Must be within min_amount and max_amount, of a schedule that the switch runs.")
			}
			c.Amount = w.Amount
		}
		if w.Token.IsZero() {
			return nil
		}
		t, err := s.ownedToken(a, w.Token)
		switch {
		case errors.Is(err, errNoToken) || err == nil && t.Customer != c.Customer:
			return &Refusal{Code: CodeUnknownToken, Pointer: "/token", Detail: "This customer has no such saved card."}
		case err != nil:
			return err
		}
		if c.Token = w.Token; c.Status == ScheduleNeedsCard {
			c.resume(now, a.Merchant.TimeZone)
		}
		return nil
	})
}

// cardReplaced lets the schedules that waited for another card under a token go on.
func (s *Switch) cardReplaced(a Account, token ID) {
	prefix := scheduleKey(scheduleToken, token)
	ids, err := s.idsOf(storage.Range{Space: spaceSchedule, Prefix: prefix}, len(prefix), storage.MaxSteps)
	for _, id := range ids {
		_, err := s.changeSchedule(a, ID(id), "card replaced", func(c *Schedule, now time.Time) error {
			if c.Status == ScheduleNeedsCard {
				c.resume(now, a.Merchant.TimeZone)
			}
			return nil
		})
		if err != nil {
			s.log.Error("a schedule could not go on with its new card", "schedule", ID(id).Text(SchedulePrefix), "error", err)
		}
	}
	if err != nil {
		s.log.Error("the schedules of a card could not be read", "token", token.Text(TokenPrefix), "error", err)
	}
}

// SchedulePage is one page of schedules, newest first.
type SchedulePage struct {
	Schedules []Schedule
	More      bool
	Next      ID
}

// Schedules is a page of the account's schedules, at most limit. Errors are refusals.
func (s *Switch) Schedules(a Account, limit int, cursor ID) (page SchedulePage, err error) {
	account := accountDigest(a)
	prefix := append([]byte{scheduleList}, account[:]...)
	rng := storage.Range{Space: spaceSchedule, Prefix: prefix, Reverse: true}
	if !cursor.IsZero() {
		rng.To = scheduleListKey(account, cursor)
	}
	ids, err := s.idsOf(rng, len(prefix), limit+1)
	for i, id := range ids {
		var c *Schedule
		if page.More = i == limit; page.More || err != nil {
			break
		}
		if c, err = s.readSchedule(ID(id)); c != nil {
			page.Schedules, page.Next = append(page.Schedules, *c), c.ID
		}
	}
	if err != nil {
		s.log.Error("schedules could not be read", "merchant", a.Merchant.ID, "error", err)
		return SchedulePage{}, errInternal
	}
	return page, nil
}

// ScheduleRuns are a schedule's runs before one (0: the last), newest first, at
// most limit. Errors are refusals.
func (s *Switch) ScheduleRuns(a Account, id ID, before, limit int) (runs []ScheduleRun, more bool, err error) {
	if _, err := s.ownedSchedule(a, id); err != nil {
		return nil, false, err
	}
	rng := storage.Range{Space: spaceSchedule, Prefix: scheduleKey(scheduleRun, id), Reverse: true}
	if before > 0 {
		rng.To = scheduleRunKey(id, before)
	}
	var bad error
	err = s.store.Scan(rng, func(_, body []byte) bool {
		if more = len(runs) == limit; more {
			return false
		}
		runs = append(runs, ScheduleRun{})
		bad = json.Unmarshal(body, &runs[len(runs)-1])
		return bad == nil
	})
	if err = cmp.Or(err, bad); err != nil {
		s.log.Error("runs could not be read", "schedule", id.Text(SchedulePrefix), "error", err)
		return nil, false, errInternal
	}
	return runs, more, nil
}

// withinSchedule holds a payment that the shop makes by its own schedule to what
// was agreed on. Errors are refusals.
func (s *Switch) withinSchedule(a Account, r *PayRequest) error {
	c, err := s.ownedSchedule(a, r.Schedule)
	if err != nil && !errors.Is(err, errNoSchedule) {
		return err
	}
	now := s.now()
	fault := func(pointer, detail string) error {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: detail}
	}
	switch {
	case err != nil || c.RunBy != RunByShop:
		return fault("/recurring/schedule", "The shop has no schedule of its own with this id.")
	case c.Status != ScheduleActive:
		return fault("/recurring/schedule", "The schedule is "+c.Status+".")
	case r.Initiator != byMerchant:
		return fault("/initiator", "A payment of a schedule is made by the merchant.")
	case now.Before(c.StartAt) || !c.EndAt.IsZero() && now.After(c.EndAt):
		return fault("/recurring/schedule", "The schedule has not begun, or is over.")
	case r.Token != c.Token:
		return fault("/payment_method/token", "The schedule is of another saved card.")
	case r.Currency.Alpha() != c.Currency:
		return fault("/currency", "The schedule has another currency.")
	case !c.allows(r.Amount):
		return fault("/amount", "Must be within min_amount and max_amount of the schedule.")
	}
	return nil
}
