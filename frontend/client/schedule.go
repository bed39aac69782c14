package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Period is the distance of a schedule's payments.
type Period struct {
	Unit  string `json:"unit"`            // hour, day, week, month or year
	Every int    `json:"every,omitempty"` // default 1
}

// ScheduleRetry says how a declined run is tried again.
type ScheduleRetry struct {
	Times      int `json:"times"`
	EveryHours int `json:"every_hours,omitempty"` // default 24
}

// ScheduleRequest is a schedule to make. Amounts are minor units.
type ScheduleRequest struct {
	IdempotencyKey string         `json:"-"`                // new for everything you mean; made when empty
	RunBy          string         `json:"run_by,omitempty"` // "switch", the default, or "shop"
	Token          string         `json:"token"`
	Amount         int64          `json:"amount,omitempty"` // of each run by the switch
	MinAmount      int64          `json:"min_amount,omitempty"`
	MaxAmount      int64          `json:"max_amount,omitempty"`
	Currency       string         `json:"currency"`
	Period         *Period        `json:"period,omitempty"`
	StartAt        time.Time      `json:"start_at,omitzero"` // default: now
	EndAt          time.Time      `json:"end_at,omitzero"`
	Count          int            `json:"count,omitempty"`
	Retry          *ScheduleRetry `json:"retry,omitempty"`
	GraceHours     int            `json:"grace_hours,omitempty"`
	OrderID        string         `json:"order_id,omitempty"`
	Description    string         `json:"description,omitempty"`
}

// Schedule is an agreement on payments at regular times as it stood when it was
// answered.
type Schedule struct {
	ID          string         `json:"id"`
	Object      string         `json:"object"`
	Version     int            `json:"version"` // grows by one with every change
	Status      string         `json:"status"`  // active, paused, needs_card, canceled or completed
	Reason      string         `json:"reason"`
	Live        bool           `json:"livemode"`
	RunBy       string         `json:"run_by"`
	Token       string         `json:"token"`
	Customer    Customer       `json:"customer"`
	Amount      int64          `json:"amount"`
	MinAmount   int64          `json:"min_amount"`
	MaxAmount   int64          `json:"max_amount"`
	Currency    string         `json:"currency"`
	Period      *Period        `json:"period"`
	StartAt     time.Time      `json:"start_at"`
	EndAt       time.Time      `json:"end_at"`
	Count       int            `json:"count"`
	Retry       *ScheduleRetry `json:"retry"`
	GraceHours  int            `json:"grace_hours"`
	OrderID     string         `json:"order_id"`
	Description string         `json:"description"`
	Runs        int            `json:"runs"`        // that are over
	NextRunAt   time.Time      `json:"next_run_at"` // zero: there is none
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`

	Meta Meta `json:"-"` // zero in lists
}

// ScheduleRun is one run of a schedule.
type ScheduleRun struct {
	Object    string    `json:"object"`
	Number    int       `json:"number"`
	DueAt     time.Time `json:"due_at"`
	Status    string    `json:"status"` // pending, retrying, succeeded, declined, failed or skipped
	Reason    string    `json:"reason"`
	Payments  []string  `json:"payments"` // its attempts, the newest last
	UpdatedAt time.Time `json:"updated_at"`
}

// Series is the schedule whose series a payment is of.
type Series struct {
	ID  string `json:"id"`
	Run int    `json:"run"` // 0: the shop's own schedule
}

// Recurring names the shop's own schedule that a payment is of.
type Recurring struct {
	Schedule string `json:"schedule"`
}

func (c *Client) schedule(ctx context.Context, ask call) (*Schedule, error) {
	return one(ctx, c, ask, func(x *Schedule) *Meta { return &x.Meta })
}

// CreateSchedule makes a schedule. Errors are *Problem or *Lost.
func (c *Client) CreateSchedule(ctx context.Context, r ScheduleRequest) (*Schedule, error) {
	ask, err := post("/v1/schedules", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.schedule(ctx, ask)
}

// GetSchedule reads a schedule.
func (c *Client) GetSchedule(ctx context.Context, id string) (*Schedule, error) {
	return c.schedule(ctx, call{method: http.MethodGet, path: "/v1/schedules" + segment(id)})
}

// ScheduleChange is what may be changed of a schedule; what is zero stays.
type ScheduleChange struct {
	Amount int64  `json:"amount,omitempty"`
	Token  string `json:"token,omitempty"`
}

// ChangeSchedule changes the amount or the card. It may be repeated.
func (c *Client) ChangeSchedule(ctx context.Context, id string, change ScheduleChange) (*Schedule, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return c.schedule(ctx, call{method: http.MethodPost, path: "/v1/schedules" + segment(id), body: body})
}

func (c *Client) actOnSchedule(ctx context.Context, id, act string) (*Schedule, error) {
	return c.schedule(ctx, call{method: http.MethodPost, path: "/v1/schedules" + segment(id) + "/" + act, body: []byte("{}")})
}

// PauseSchedule stops a schedule until it is resumed. It may be repeated.
func (c *Client) PauseSchedule(ctx context.Context, id string) (*Schedule, error) {
	return c.actOnSchedule(ctx, id, "pause")
}

// ResumeSchedule goes on with a schedule at its next moment. It may be repeated.
func (c *Client) ResumeSchedule(ctx context.Context, id string) (*Schedule, error) {
	return c.actOnSchedule(ctx, id, "resume")
}

// CancelSchedule ends a schedule for good. It may be repeated.
func (c *Client) CancelSchedule(ctx context.Context, id string) (*Schedule, error) {
	return c.actOnSchedule(ctx, id, "cancel")
}

// ListSchedules reads a page of schedules, newest first; next is the cursor of the
// page after it, empty: it was the last one.
func (c *Client) ListSchedules(ctx context.Context, limit int, cursor string) (list []Schedule, next string, err error) {
	return pageOf[Schedule](ctx, c, "/v1/schedules", span{limit, cursor})
}

// ListScheduleRuns reads a page of a schedule's runs before one (0: the last),
// newest first.
func (c *Client) ListScheduleRuns(ctx context.Context, id string, before, limit int) (runs []ScheduleRun, more bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if before > 0 {
		query.Set("before", strconv.Itoa(before))
	}
	var page struct {
		Data []ScheduleRun `json:"data"`
		More bool          `json:"has_more"`
	}
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/v1/schedules" + segment(id) + "/runs", query: query}, &page)
	return page.Data, page.More, err
}
