package client_test

import (
	"errors"
	"testing"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestBanks: what the catalogue has is read whole.
func TestBanks(t *testing.T) {
	c, err := client.New(openAPI(t), key)
	if err != nil {
		t.Fatal(err)
	}
	banks, err := c.Banks(t.Context(), "es")
	if err != nil || len(banks) != 1 {
		t.Fatalf("%+v, %v", banks, err)
	}
	b, err := c.Bank(t.Context(), banks[0].ID, "ru")
	if err != nil {
		t.Fatal(err)
	}
	j := b.Joining
	if !b.Connected || b.Name == banks[0].Name || b.Profile.ID != "demo-alfa" || len(b.Operations) != 8 || b.Operations[0].Amounts[0].To != 60_000_000 || !*b.Operations[2].Partial ||
		b.MCC.Refused[2] != "7995" || b.Cards.Refused[0].Product != "gift" || b.Fees[0].Percent != "2.1" || b.HoldDays != 7 || b.TimeZone != "Europe/Moscow" {
		t.Errorf("%+v", b)
	}
	if j == nil || j.Contract.Form != "accession" || j.WorkingDays != 5 || j.ConnectionDays != 1 || j.Requirements[0].Owner != "merchant" || j.Requirements[0].Text == "" {
		t.Errorf("%+v", j)
	}
	var p *client.Problem
	if _, err := c.Bank(t.Context(), "no/body", ""); !errors.As(err, &p) || p.Code != "not_found" {
		t.Errorf("%v", err)
	}
}
