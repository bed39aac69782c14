package payswitch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStateTable holds every operation, by amount, in every state of a payment
// and beside every open operation, to testdata/state_table.golden; -update
// rewrites it. What is refused until an open operation is settled says "later".
func TestStateTable(t *testing.T) {
	var table strings.Builder
	for _, state := range slices.Sorted(maps.Keys(storiesOf())) {
		fmt.Fprintf(&table, "%s\n", state)
		for _, kind := range []OperationKind{KindCapture, KindCancel, KindRefund, KindIncrement} {
			fmt.Fprintf(&table, "  %-10s", kind)
			for _, amount := range []int64{0, 100, 1000, 1400, 2000} {
				plan, no := paymentAs(t, state).plan(&OperationRequest{Kind: kind, Amount: amount}, &allTerms, morning.Add(time.Hour))
				did := plan.method.String()
				switch {
				case no != nil && no.RetryAfter > 0:
					did = "later"
				case no != nil:
					did = string(no.Code)
				}
				fmt.Fprintf(&table, " %5d %-16s", amount, did)
			}
			table.WriteString(" |\n")
		}
		let, ok := paymentAs(t, state).release(&allTerms)
		if !ok {
			let.method = MethodNone
		}
		fmt.Fprintf(&table, "  release    %v, by %s\n", ok, let.method)
	}
	const golden = "testdata/state_table.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != table.String() {
		t.Errorf("%v\n%s", err, table.String())
	}
}
