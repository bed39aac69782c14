package client_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestSchedules walks the life of a schedule against the real server, and every
// first answer is lost on its way.
func TestSchedules(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()
	token, err := c.CreateToken(ctx, client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2028}, "anna")
	must(t, err)
	made, err := c.CreateSchedule(ctx, client.ScheduleRequest{Token: token.ID, Amount: 100, Currency: "RUB", Period: &client.Period{Unit: "month"}, OrderID: "S-1"})
	must(t, err)
	if made.Status != "active" || !made.Meta.Replayed || made.Customer.ID != "anna" || made.Period.Every != 1 || made.GraceHours != 24 {
		t.Errorf("made: %+v", made)
	}
	var runs []client.ScheduleRun
	for tries := 0; tries < 200 && (len(runs) == 0 || runs[0].Status != "succeeded"); tries++ {
		<-time.After(20 * time.Millisecond)
		runs, _, err = c.ListScheduleRuns(ctx, made.ID, 0, 10)
		must(t, err)
	}
	if len(runs) != 1 || len(runs[0].Payments) != 1 {
		t.Fatalf("runs: %+v", runs)
	}
	p, err := c.GetPayment(ctx, runs[0].Payments[0])
	must(t, err)
	if p.Status != "captured" || p.OrderID != "S-1" || *p.Schedule != (client.Series{ID: made.ID, Run: 1}) {
		t.Errorf("paid: %+v, %+v", p, p.Schedule)
	}
	changed, err := c.ChangeSchedule(ctx, made.ID, client.ScheduleChange{Amount: 200})
	must(t, err)
	paused, err := c.PauseSchedule(ctx, made.ID)
	must(t, err)
	resumed, err := c.ResumeSchedule(ctx, made.ID)
	must(t, err)
	if changed.Amount != 200 || paused.Status != "paused" || resumed.Status != "active" || resumed.NextRunAt.Before(time.Now()) {
		t.Errorf("changed %+v\npaused %+v\nresumed %+v", changed, paused, resumed)
	}
	list, next, err := c.ListSchedules(ctx, 10, "")
	must(t, err)
	if len(list) != 1 || next != "" || list[0].Runs != 1 {
		t.Errorf("listed: %+v, %q", list, next)
	}
	_, err = c.CancelSchedule(ctx, made.ID)
	must(t, err)
	var problem *client.Problem
	if _, err = c.ResumeSchedule(ctx, made.ID); !errors.As(err, &problem) || problem.Code != "invalid_state" {
		t.Errorf("a canceled schedule: %v", err)
	}
	over, err := c.GetSchedule(ctx, made.ID)
	must(t, err)
	if over.Status != "canceled" || !over.NextRunAt.IsZero() {
		t.Errorf("canceled: %+v", over)
	}
}
