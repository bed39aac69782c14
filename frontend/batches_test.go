package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const csvType = "text/csv; charset=utf-8"

func refundRow(payment string, amount int) string {
	return fmt.Sprintf(`{"operation":"refund","payment_id":"%s","amount":%d}`, payment, amount)
}

// walkBatches gives the answers of batches that no other walk can.
func walkBatches(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	content, _ := document().at(node{"", document().root}, "paths", "/v1/batches", "post", "requestBody", "content")
	for _, media := range []string{"application/x-ndjson", "text/csv"} {
		example, ok := document().at(content, media, "examples", "rows")
		if !ok {
			t.Fatalf("%s has no example", media)
		}
		text := strings.ReplaceAll(example.value["value"].(string), "capture", "refund")
		payment := s.made(t, "for "+media, false)
		text = strings.NewReplacer(`,"final":true`, "", "pay_01m858pafqe03txhvkj21jdvtw", payment, "pay_01m858q9vce03txhvkj21jdvty", payment).Replace(text)
		s.want("201", "POST /v1/batches", text, "Content-Type", media, "Idempotency-Key", "walk "+media)
	}
	made := s.want("201", "POST /v1/batches", refundRow(s.made(t, "charged", false), 1), "Idempotency-Key", "walk", "Content-Type", "application/jsonl")
	path := "/v1/batches/" + idOf(t, made)
	s.want("200", "GET "+path+"?wait=20s", "")
	s.want("200", "GET "+path+"/rows", "")
	s.want("200", "GET "+path+"/rows?format=csv", "")
	s.want("409 invalid_state", "POST "+path+"/cancel", "{}")
	s.want("200", "GET /v1/batches", "")
	slow := idOf(t, s.pay("slow-charge", with("4111111111111111", testCardSlowRefund)))
	rows := strings.Repeat(refundRow(slow, 1)+"\n", 500)
	path = "/v1/batches/" + idOf(t, s.want("201", "POST /v1/batches", rows, "Idempotency-Key", "slow"))
	s.want("200", "POST "+path+"/cancel", "{}")
}

// rowsOf goes through the pages of a batch's rows and tells each in a line.
func (s *shop) rowsOf(t *testing.T, id string) (told []string) {
	t.Helper()
	cursor := ""
	for pages := 0; pages < 5; pages++ {
		var page struct {
			Data []struct {
				Row       int
				Operation string
				Status    string
				Result    *struct{ ID, Status string }
				Refusal   *struct{ Code string }
			}
			HasMore    bool   `json:"has_more"`
			NextCursor string `json:"next_cursor"`
		}
		must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/batches/"+id+"/rows?limit=2"+cursor, "").body), &page))
		for _, r := range page.Data {
			line := fmt.Sprint(r.Row, " ", r.Operation, " ", r.Status)
			if r.Result != nil {
				line += " " + r.Result.ID[:4] + r.Result.Status
			}
			if r.Refusal != nil {
				line += " " + r.Refusal.Code
			}
			told = append(told, line)
		}
		if !page.HasMore {
			break
		}
		cursor = "&cursor=" + page.NextCursor
	}
	return told
}

// TestBatchOverHTTP: a CSV with all four operations, its results as pages and as a
// CSV, and its repeat.
func TestBatchOverHTTP(t *testing.T) {
	s := openShop(t, nil)
	held, other, charged := s.made(t, "held", true), s.made(t, "other", true), s.made(t, "charged", false)
	saved := s.want("201", "POST /v1/tokens", tokenBody)
	token := idOf(t, saved)
	body := "\ufeffoperation,payment_id,amount,final,reason,token,currency,order_id,customer_id\r\n" +
		"capture," + held + ",100000,true,,,,,\r\n" +
		"cancel," + other + ",,,\"out of stock, sorry\",,,,\r\n" +
		"refund," + charged + ",29900,,,,,,\r\n" +
		"refund," + charged + ",200000,,,,,,\r\n" +
		"payment,,5000,,," + token + ",RUB,sub-1,\r\n"
	made := s.want("201", "POST /v1/batches", body, "Idempotency-Key", "b", "Content-Type", csvType)
	id := idOf(t, made)
	if at := made.header.Get("Location"); at != "/v1/batches/"+id {
		t.Errorf("Location is %q", at)
	}
	var end struct {
		Status string
		Rows   map[string]int
	}
	must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/batches/"+id+"?wait=20s", "").body), &end))
	if end.Status != "completed" || end.Rows["total"] != 5 || end.Rows["succeeded"] != 4 || end.Rows["refused"] != 1 || end.Rows["queued"] != 0 {
		t.Errorf("ended as %+v", end)
	}
	again := s.want("201", "POST /v1/batches", body, "Idempotency-Key", "b", "Content-Type", csvType)
	if again.body != made.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat differs:\n%s\n%s", again.body, made.body)
	}
	told := s.rowsOf(t, id)
	want := "1 capture done cap_succeeded; 2 cancel done can_succeeded; 3 refund done ref_succeeded; 4 refund refused out_of_range; 5 payment done pay_captured"
	if got := strings.Join(told, "; "); got != want {
		t.Errorf("rows\n%s, want\n%s", got, want)
	}
	sheet := strings.Split(s.want("200", "GET /v1/batches/"+id+"/rows?format=csv", "").body, "\n")
	if len(sheet) != 7 || sheet[0] != strings.Join(rowColumns[:], ",") || !strings.HasPrefix(sheet[4], "4,refund,refused,"+charged+",,200000,,,,,out_of_range,") {
		t.Errorf("the CSV is\n%s", strings.Join(sheet, "\n"))
	}
	if r := s.want("200", "GET /v1/batches/"+id+"/rows?status=refused", ""); strings.Count(r.body, `"object":"batch_row"`) != 1 {
		t.Errorf("refused rows: %s", r.body)
	}
	s.want("404 not_found", "GET /v1/batches/"+id, "", bearer(keyOther)...)
	s.want("404 not_found", "GET /v1/batches/"+id+"/rows", "", bearer(keyOther)...)
	s.want("404 not_found", "GET /v1/batches/"+id+"/rows?format=csv", "", bearer(keyOther)...)
	s.want("404 not_found", "POST /v1/batches/"+id+"/cancel", "{}", bearer(keyOther)...)
	if r := s.want("200", "GET /v1/batches", "", bearer(keyOther)...); !strings.Contains(r.body, `"data":[]`) {
		t.Errorf("another shop sees %s", r.body)
	}
}

// TestBadBatches name the row and the member, and nothing of them runs.
func TestBadBatches(t *testing.T) {
	s := openShop(t, nil)
	charged := s.made(t, "charged", false)
	good := refundRow(charged, 1)
	pay := `{"operation":"payment","amount":1,"currency":"RUB","token":"` + noToken + `"`
	for _, tt := range []struct{ media, body, want string }{
		{"", "", `"","code":"too_short"`},
		{"", "\n \n", `"","code":"too_short"`},
		{"", good + "\n\n[]", `"/2","code":"wrong_type"`},
		{"", good + "\n{", `"/2","code":"invalid_json"`},
		{"", good + "\n{}", `"/2/operation","code":"required"`},
		{"", good + "\n" + `{"operation":"payout"}`, `"/2/operation","code":"unknown_value"`},
		{"", `{"operation":"refund"}`, `"/1/payment_id","code":"required"`},
		{"", `{"operation":"refund","payment_id":null}`, `"/1/payment_id","code":"required"`},
		{"", `{"operation":"refund","payment_id":"ref_1"}`, `"/1/payment_id","code":"invalid_format"`},
		{"", strings.Replace(good, "}", `,"final":true}`, 1), `"/1/final","code":"unknown_field"`},
		{"", strings.Replace(good, "}", `,"more":true}`, 1), `"/1/more","code":"unknown_field"`},
		{"", strings.Replace(good, ":1}", `:1.5}`, 1), `"/1/amount","code":"not_an_integer"`},
		{"", strings.Replace(good, ":1}", `:0}`, 1), `"/1/amount","code":"out_of_range"`},
		{"", strings.Replace(good, "}", `,"amount":2}`, 1), `"/1/amount","code":"duplicate_field"`},
		{"", strings.Replace(good, "}", `,"reason":"4111111111111111"}`, 1), `"/1/reason","code":"card_number_not_allowed"`},
		{"", good + "\n" + refundRow(noPayment, 1), `"/2/payment_id","code":"unknown_payment"`},
		{"", pay + `}`, `"/1/token","code":"unknown_token"`},
		{"", strings.Replace(pay, "RUB", "XXY", 1) + `}`, `"/1/currency","code":"unknown_currency"`},
		{"", strings.Replace(pay, `,"currency":"RUB"`, "", 1) + `}`, `"/1/currency","code":"required"`},
		{"", pay + `,"customer_id":"a/b"}`, `"/1/customer_id","code":"invalid_characters"`},
		{"", pay + `,"bank":"nobody"}`, `"/1/bank","code":"unknown_bank"`},
		{"", strings.Repeat(good+"\n", 10_001), `"","code":"too_many"`},
		{csvType, "operation,payment\nrefund,1\n", `"/payment","code":"unknown_field"`},
		{csvType, "operation,payment_id\nrefund\n", `"","code":"invalid_csv"`},
		{csvType, "operation,payment_id\nrefund,\"x\n", `"","code":"invalid_csv"`},
		{csvType, "operation,payment_id,amount\nrefund," + charged + ",1.5\n", `"/1/amount","code":"wrong_type"`},
		{csvType, "operation,payment_id,payment_id\nrefund," + charged + "," + charged + "\n", `"/1/payment_id","code":"duplicate_field"`},
		{csvType, "operation,payment_id,reason\nrefund," + charged + ",\xff\n", `"/1","code":"invalid_utf8"`},
	} {
		if tt.media == "" {
			tt.media = "application/x-ndjson"
		}
		r := s.want("400 invalid_request", "POST /v1/batches", tt.body, "Idempotency-Key", "k", "Content-Type", tt.media)
		if !strings.Contains(r.body, `"pointer":`+tt.want) {
			t.Errorf("%.200s\n answered %.600s\n want %s", tt.body, r.body, tt.want)
		}
		noCardNumbers(t, "the answer", r.body)
	}
	s.want("415 media_type", "POST /v1/batches", good, "Idempotency-Key", "k", "Content-Type", "application/json")
	if r := s.want("200", "GET /v1/batches", ""); !strings.Contains(r.body, `"data":[]`) {
		t.Errorf("a refused batch was recorded: %s", r.body)
	}
	if r := s.do("GET", "/v1/payments/"+charged, ""); member[float64](t, r.body, "amount_refunded") != 0 {
		t.Errorf("a row ran: %s", r.body)
	}
}

// TestLargeBatch: who has a key may send more than other requests have, and who has
// none may not.
func TestLargeBatch(t *testing.T) {
	s := openShop(t, nil)
	charged := s.made(t, "charged", false)
	var rows strings.Builder
	for range 2000 {
		rows.WriteString(refundRow(charged, 1) + "\n")
	}
	made := s.want("201", "POST /v1/batches", rows.String(), "Idempotency-Key", "large")
	s.want("200", "POST /v1/batches/"+idOf(t, made)+"/cancel", "{}")
	s.want("200", "GET /v1/batches/"+idOf(t, made)+"?wait=20s", "")
	c := s.dial().send("POST /v1/batches HTTP/1.1\r\n" + hostLine + "Authorization: Bearer sk_test_nobody\r\n" + keyLine +
		"Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n{")
	c.reply().wantProblem(t, 413, "body_too_large")
	r := s.dial().send("POST /v1/payments HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Content-Length: 100000\r\n\r\n{").reply()
	r.wantProblem(t, 413, "body_too_large")
}
