package client_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestBatch runs rows, awaits their end and reads what came of each.
func TestBatch(t *testing.T) {
	c, err := client.New(openAPI(t), key)
	must(t, err)
	p, err := c.CreatePayment(t.Context(), order("b", cardApproved))
	must(t, err)
	b, err := c.CreateBatch(t.Context(), "batch", []client.BatchRow{
		{Operation: "refund", PaymentID: p.ID, Amount: 100, Reason: "returned"},
		{Operation: "refund", PaymentID: p.ID, Amount: 1 << 40 / 2},
		{Operation: "refund", PaymentID: p.ID, All: true},
	})
	must(t, err)
	if b.Rows.Total != 3 || b.Rows.Queued != 3 || b.Meta.IdempotencyKey != "batch" {
		t.Errorf("accepted as %+v", b)
	}
	if b, err = c.AwaitBatch(t.Context(), b.ID); err != nil || b.Status != "completed" || b.Rows.Succeeded != 2 || b.Rows.Refused != 1 {
		t.Errorf("ended as %+v, %v", b, err)
	}
	n := 0
	for row, err := range c.AllBatchRows(t.Context(), b.ID, "") {
		must(t, err)
		if n++; row.Row != n || (row.Result == nil) != (n == 2) || (row.Refusal == nil) != (n != 2) {
			t.Errorf("row %d: %+v", n, row)
		}
	}
	sheet, err := c.BatchRowsCSV(t.Context(), b.ID)
	must(t, err)
	text, err := io.ReadAll(sheet)
	must(t, err)
	must(t, sheet.Close())
	if n != 3 || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%d rows, CSV\n%s", n, text)
	}
	var problem *client.Problem
	if _, err := c.CancelBatch(t.Context(), b.ID); !errors.As(err, &problem) || problem.Code != "invalid_state" {
		t.Errorf("canceled: %v", err)
	}
	if _, err := c.CreateBatch(t.Context(), "", []client.BatchRow{{Operation: "refund", PaymentID: "pay_1", Amount: 1}}); !errors.As(err, &problem) || problem.Fields[0].Pointer != "/1/payment_id" {
		t.Errorf("a bad row: %v", err)
	}
	if _, err := c.CreateBatch(t.Context(), "", []client.BatchRow{{Operation: "refund", PaymentID: p.ID}}); err == nil {
		t.Error("nothing means everything")
	}
	operations, err := c.AwaitOperations(t.Context(), p.ID)
	must(t, err)
	page, err := c.ListPayments(t.Context(), client.PaymentFilter{OrderID: "b", Operations: true})
	must(t, err)
	if len(operations) != 2 || len(page.Data) != 1 || len(page.Data[0].Operations) != 2 {
		t.Errorf("operations %+v and %+v", operations, page.Data)
	}
	if list, err := c.ListOperations(t.Context(), p.ID); err != nil || len(list) != 2 {
		t.Errorf("operations %+v, %v", list, err)
	}
	one, err := c.GetBatch(t.Context(), b.ID)
	must(t, err)
	list, next, err := c.ListBatches(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].ID != one.ID || next != "" {
		t.Errorf("listed %+v, %q, %v", list, next, err)
	}
}
