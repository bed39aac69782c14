package frontend

import (
	"strconv"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	schedulePrefix   = payswitch.SchedulePrefix
	schedulesPath    = "/v1/schedules/"
	defaultSchedules = 20
	maxSchedulePage  = 100
)

// targetSchedule reads the schedule of the path, or answers 404.
func (c *call) targetSchedule(text []byte) bool {
	return c.identify(text, schedulePrefix, "schedule")
}

// scheduleReader reads what is asked of a schedule.
type scheduleReader struct {
	keyReader
	out payswitch.Schedule
}

func (d *scheduleReader) whole(pointer string, low, high int64) int {
	v, _ := d.integer(pointer, low, high)
	return int(v)
}

func (d *scheduleReader) moment(pointer string) (at time.Time) {
	if t := d.time(pointer); t != nil {
		at = *t
	}
	return at
}

func (d *scheduleReader) token() {
	word, ok := d.word("/token")
	if !ok {
		return
	}
	var err error
	if d.out.Token, err = payswitch.ParseID(tokenPrefix, string(word)); err != nil {
		d.fault("/token", "invalid_format", "Must be the id of a saved card.")
	}
}

func (d *scheduleReader) currency() {
	word, ok := d.word("/currency")
	if !ok {
		return
	}
	currency, err := iso.ParseCurrency(string(word))
	if err != nil {
		d.fault("/currency", "unknown_currency", "Must be an ISO 4217 alphabetic code in upper case.")
		return
	}
	d.out.Currency = currency.Alpha()
}

func (d *scheduleReader) prose(pointer string, most int) string {
	text := d.line(pointer, most)
	if looksLikeCardNumber([]byte(text)) {
		d.fault(pointer, "card_number_not_allowed", "Holds what may be a card number.")
	}
	return text
}

// periodUnits are the units of a period with the most there may be of each.
var periodUnits = map[string]int{"hour": 8784, "day": 366, "week": 52, "month": 12, "year": 5}

func (d *scheduleReader) period() {
	if !d.object("/period") {
		return
	}
	d.out.Period.Every = 1
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "unit":
			word, ok := d.word("/period/unit")
			if d.out.Period.Unit = string(word); ok && periodUnits[d.out.Period.Unit] == 0 {
				d.fault("/period/unit", "unknown_value", "Must be hour, day, week, month or year.")
			}
		case "every":
			d.out.Period.Every = d.whole("/period/every", 1, 8784)
		default:
			d.unknown("/period", name)
		}
	}
	most := periodUnits[d.out.Period.Unit]
	switch {
	case d.out.Period.Unit == "" && !d.broken:
		d.fault("/period/unit", "required", "This member is required.")
	case d.out.Period.Every > most && most > 0:
		d.fault("/period/every", "out_of_range", "Must be at most "+strconv.Itoa(most)+" with this unit.")
	}
}

func (d *scheduleReader) retry() {
	if !d.object("/retry") {
		return
	}
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "times":
			d.out.Retries = d.whole("/retry/times", 0, payswitch.MaxScheduleRetries)
		case "every_hours":
			d.out.RetryEvery = time.Duration(d.whole("/retry/every_hours", 1, 720)) * time.Hour
		default:
			d.unknown("/retry", name)
		}
	}
}

func (d *scheduleReader) wish(name string) bool {
	switch name {
	case "run_by":
		word, ok := d.word("/run_by")
		if d.out.RunBy = string(word); ok && d.out.RunBy != payswitch.RunBySwitch && d.out.RunBy != payswitch.RunByShop {
			d.fault("/run_by", "unknown_value", `Must be "switch" or "shop".`)
		}
	case "token":
		d.token()
	case "amount":
		d.out.Amount, _ = d.integer("/amount", 1, maxAmount)
	case "min_amount":
		d.out.MinAmount, _ = d.integer("/min_amount", 1, maxAmount)
	case "max_amount":
		d.out.MaxAmount, _ = d.integer("/max_amount", 1, maxAmount)
	case "currency":
		d.currency()
	case "period":
		d.period()
	case "start_at":
		d.out.StartAt = d.moment("/start_at")
	case "end_at":
		d.out.EndAt = d.moment("/end_at")
	case "count":
		d.out.Count = d.whole("/count", 1, payswitch.MaxScheduleRuns)
	case "retry":
		d.retry()
	case "grace_hours":
		d.out.Grace = time.Duration(d.whole("/grace_hours", 1, 720)) * time.Hour
	case "order_id":
		d.out.OrderID = d.prose("/order_id", maxOrderID)
	case "description":
		d.out.Description = d.prose("/description", maxDescription)
	default:
		return false
	}
	return true
}

// createSchedule answers POST /v1/schedules.
func (c *call) createSchedule() {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
	var d scheduleReader
	defer d.close()
	if d.read(body, d.wish) {
		for _, m := range [...]struct {
			pointer string
			there   bool
		}{{"/token", !d.out.Token.IsZero()}, {"/currency", d.out.Currency != ""}} {
			if !m.there {
				d.fault(m.pointer, "required", "This member is required.")
			}
		}
	}
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return
	}
	made, replayed, err := c.server.sw.CreateSchedule(c.account, &payswitch.ScheduleRequest{IdempotencyKey: string(key),
		Fingerprint: c.server.sw.Fingerprint("POST", "/v1/schedules", body), Wish: d.out})
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.repeats(replayed)
	c.stands(schedulesPath, schedulePrefix, made.ID)
	c.answerJSON(201, scheduleView(&made))
}

// changeSchedule answers POST /v1/schedules/{id}.
func (c *call) changeSchedule() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var d scheduleReader
	defer d.close()
	d.read(c.ctx.Request.Body(), func(name string) bool { return (name == "amount" || name == "token") && d.wish(name) })
	if len(d.faults) > 0 {
		c.refuseFaults(d.faults)
		return
	}
	c.answerSchedule(c.server.sw.ChangeSchedule(c.account, c.id, payswitch.ScheduleChange{Amount: d.out.Amount, Token: d.out.Token}))
}

func (c *call) answerSchedule(s payswitch.Schedule, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, scheduleView(&s))
}

// actOnSchedule answers a call whose body is an empty object.
func (c *call) actOnSchedule(do func(payswitch.Account, payswitch.ID) (payswitch.Schedule, error)) {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var d keyReader
	defer d.close()
	if !d.read(c.ctx.Request.Body(), func(string) bool { return false }) {
		c.refuseFaults(d.faults)
		return
	}
	c.answerSchedule(do(c.account, c.id))
}

func (c *call) pauseSchedule()  { c.actOnSchedule(c.server.sw.PauseSchedule) }
func (c *call) resumeSchedule() { c.actOnSchedule(c.server.sw.ResumeSchedule) }
func (c *call) cancelSchedule() { c.actOnSchedule(c.server.sw.CancelSchedule) }

// getSchedule answers GET /v1/schedules/{id}.
func (c *call) getSchedule() {
	if c.noQuery() {
		c.answerSchedule(c.server.sw.Schedule(c.account, c.id))
	}
}

// listSchedules answers GET /v1/schedules.
func (c *call) listSchedules() {
	limit, cursor := defaultSchedules, payswitch.ID{}
	ok := c.eachParameter(func(name string, value []byte) string {
		var err error
		switch name {
		case "limit":
			if limit, err = strconv.Atoi(string(value)); err == nil && (limit < 1 || limit > maxSchedulePage) {
				return "out_of_range"
			}
		case "cursor":
			cursor, err = payswitch.ParseID(cursorPrefix, string(value))
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	if !ok {
		return
	}
	page, err := c.server.sw.Schedules(c.account, limit, cursor)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	views, next := make([]schedule, 0, len(page.Schedules)), ""
	for i := range page.Schedules {
		views = append(views, scheduleView(&page.Schedules[i]))
	}
	if page.More {
		next = page.Next.Text(cursorPrefix)
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": page.More, "next_cursor": textOrNull(next)})
}

// listRuns answers GET /v1/schedules/{id}/runs.
func (c *call) listRuns() {
	limit, before := defaultSchedules, 0
	ok := c.eachParameter(func(name string, value []byte) string {
		var err error
		switch name {
		case "limit":
			if limit, err = strconv.Atoi(string(value)); err == nil && (limit < 1 || limit > maxSchedulePage) {
				return "out_of_range"
			}
		case "before":
			if before, err = strconv.Atoi(string(value)); err == nil && (before < 1 || before > payswitch.MaxScheduleRuns+1) {
				return "out_of_range"
			}
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	if !ok {
		return
	}
	runs, more, err := c.server.sw.ScheduleRuns(c.account, c.id, before, limit)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	views := make([]scheduleRun, 0, len(runs))
	for i := range runs {
		views = append(views, runView(&runs[i]))
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": more})
}

// schedule is the object of the API.
type schedule struct {
	ID          string          `json:"id"`
	Object      string          `json:"object"`
	Version     uint32          `json:"version"`
	Status      string          `json:"status"`
	Reason      *string         `json:"reason"`
	Live        bool            `json:"livemode"`
	RunBy       string          `json:"run_by"`
	Token       string          `json:"token"`
	Customer    map[string]any  `json:"customer"`
	Amount      *int64          `json:"amount"`
	MinAmount   *int64          `json:"min_amount"`
	MaxAmount   *int64          `json:"max_amount"`
	Currency    string          `json:"currency"`
	Period      *schedulePeriod `json:"period"`
	StartAt     *string         `json:"start_at"`
	EndAt       *string         `json:"end_at"`
	Count       *int64          `json:"count"`
	Retry       *scheduleRetry  `json:"retry"`
	GraceHours  *int64          `json:"grace_hours"`
	OrderID     *string         `json:"order_id"`
	Description *string         `json:"description"`
	Runs        int             `json:"runs"`
	NextRunAt   *string         `json:"next_run_at"`
	CreatedAt   *string         `json:"created_at"`
	UpdatedAt   *string         `json:"updated_at"`
}

type schedulePeriod struct {
	Unit  string `json:"unit"`
	Every int    `json:"every"`
}

type scheduleRetry struct {
	Times      int `json:"times"`
	EveryHours int `json:"every_hours"`
}

func numberOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func momentOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return textOrNull(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func scheduleView(s *payswitch.Schedule) schedule {
	view := schedule{ID: s.ID.Text(schedulePrefix), Object: "schedule", Version: s.Version, Status: s.Status, Reason: textOrNull(s.Reason), Live: s.Live,
		RunBy: s.RunBy, Token: s.Token.Text(tokenPrefix), Customer: map[string]any{"id": s.Customer}, Amount: numberOrNull(s.Amount),
		MinAmount: numberOrNull(s.MinAmount), MaxAmount: numberOrNull(s.MaxAmount), Currency: s.Currency, StartAt: momentOrNull(s.StartAt),
		EndAt: momentOrNull(s.EndAt), Count: numberOrNull(int64(s.Count)), GraceHours: numberOrNull(int64(s.Grace / time.Hour)),
		OrderID: textOrNull(s.OrderID), Description: textOrNull(s.Description), Runs: s.Runs, CreatedAt: momentOrNull(s.CreatedAt), UpdatedAt: momentOrNull(s.UpdatedAt)}
	if s.RunBy == payswitch.RunBySwitch {
		view.Period = &schedulePeriod{s.Period.Unit, s.Period.Every}
		view.Retry = &scheduleRetry{s.Retries, int(s.RetryEvery / time.Hour)}
	}
	if s.Status == payswitch.ScheduleActive {
		view.NextRunAt = momentOrNull(s.DueAt)
	}
	return view
}

type scheduleRun struct {
	Object   string   `json:"object"`
	Number   int      `json:"number"`
	DueAt    *string  `json:"due_at"`
	Status   string   `json:"status"`
	Reason   *string  `json:"reason"`
	Payments []string `json:"payments"`
	At       *string  `json:"updated_at"`
}

func runView(r *payswitch.ScheduleRun) scheduleRun {
	view := scheduleRun{Object: "schedule_run", Number: r.Number, DueAt: momentOrNull(r.DueAt), Status: r.Status, Reason: textOrNull(r.Reason),
		Payments: []string{}, At: momentOrNull(r.At)}
	for _, id := range r.Payments {
		view.Payments = append(view.Payments, id.Text(paymentPrefix))
	}
	return view
}

// recurring reads of which of the shop's schedules a payment is.
func (d *paymentReader) recurring() {
	if !d.object("/recurring") {
		return
	}
	for name, ok := d.member(); ok; name, ok = d.member() {
		if string(name) != "schedule" {
			d.unknown("/recurring", name)
			continue
		}
		word, ok := d.word("/recurring/schedule")
		if !ok {
			continue
		}
		var err error
		if d.out.Schedule, err = payswitch.ParseID(schedulePrefix, string(word)); err != nil {
			d.fault("/recurring/schedule", "invalid_format", "Must be the id of a schedule.")
		}
	}
	if d.out.Schedule.IsZero() && !d.broken && !d.faulty("/recurring/schedule") {
		d.fault("/recurring/schedule", "required", "This member is required.")
	}
}

// appendSeries appends of which schedule a payment is, or null.
func appendSeries(dst []byte, p *payswitch.Payment) []byte {
	if p.Schedule.IsZero() {
		return append(dst, "null"...)
	}
	dst = append(p.Schedule.Append(append(dst, `{"id":"`...), schedulePrefix), `","run":`...)
	return append(appendAttempt(dst, p.Run), '}')
}
