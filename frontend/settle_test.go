package frontend

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestOrderWithOperations: one call finds by the merchant's number all attempts and
// what was done to each.
func TestOrderWithOperations(t *testing.T) {
	s := openShop(t, nil)
	body := orderBody("A-7")
	s.pay("declined", strings.Replace(body, "4111111111111111", "4000000000000002", 1))
	id := idOf(t, s.pay("paid", strings.Replace(body, "{", `{"capture_method":"manual",`, 1)))
	s.want("201", "POST /v1/payments/"+id+"/capture", `{"amount":100}`, "Idempotency-Key", "a")
	s.want("201", "POST /v1/payments/"+id+"/refunds", `{"amount":50}`, "Idempotency-Key", "b")
	var list struct {
		Data []struct {
			Status     string
			Operations *[]struct{ Object, Status string }
		}
	}
	must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/payments?order_id=A-7&expand=operations", "").body), &list))
	if len(list.Data) != 2 || len(*list.Data[0].Operations) != 2 || (*list.Data[0].Operations)[0].Object != "capture" || len(*list.Data[1].Operations) != 0 {
		t.Errorf("the order is %+v", list.Data)
	}
	if r := s.want("200", "GET /v1/payments/"+id+"/operations", ""); strings.Count(r.body, `"status":"succeeded"`) != 2 {
		t.Errorf("operations: %s", r.body)
	}
	if r := s.want("200", "GET /v1/payments?order_id=A-7", ""); strings.Contains(r.body, `"operations"`) {
		t.Errorf("nobody asked for operations: %s", r.body)
	}
	s.want("404 not_found", "GET /v1/payments/"+id+"/operations", "", bearer(keyOther)...)
	s.want("400 invalid_request", "GET /v1/payments?expand=all", "")
}

// orderBody is leanBody for another order.
func orderBody(order string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(leanBody), &body)
	body["order_id"] = order
	text, _ := json.Marshal(body)
	return string(text)
}

// TestWaitForOperation: a long poll is answered when the refund is settled, and at
// once when nothing is open.
func TestWaitForOperation(t *testing.T) {
	t.Parallel()
	s := openShop(t, nil)
	id := idOf(t, s.pay("slow", with("4111111111111111", testCardSlowRefund)))
	refund := "/v1/payments/" + id + "/refunds/" + idOf(t, s.want("202", "POST /v1/payments/"+id+"/refunds", "{}", "Idempotency-Key", "r"))
	before := member[string](t, s.want("200", "GET "+refund+"?wait=10ms", "").body, "status")
	settled := member[string](t, s.want("200", "GET "+refund+"?wait=20s", "").body, "status")
	if before == settled || settled != "reversed" && settled != "succeeded" {
		t.Errorf("%s before, %s after", before, settled)
	}
	begun := time.Now()
	s.want("200", "GET "+refund+"?wait=20s", "")
	s.want("200", "GET /v1/payments/"+id+"/operations?wait=20s", "")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("settled, and waited %s", took)
	}
}
