package iso

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// edition1993 is ascii87 with the layouts of 1993 where they are of other widths.
func edition1993(t *testing.T) *Dialect {
	t.Helper()
	text := withFields(t, "ascii87", map[int]string{
		12: "class: n, len: 12, content: ascii", 15: "class: n, len: 6, content: ascii", 22: "class: an, len: 12, content: ascii",
		30: "class: n, len: 24, content: ascii", 39: "class: n, len: 3, content: ascii",
		56: "class: n, var: {width: 2, enc: ascii, unit: bytes}, max: 35, content: ascii",
	}, "12: {from: local_time", "12: {from: local_date_time", "      56: {from: reason}\n", "      56: {from: original_1993}\n      30: {from: original_amounts}\n",
		"15: {from: settlement_date", "15: {from: settlement_date_year", `ecommerce: "812"`, `ecommerce: "810090S00000"`)
	text = regexp.MustCompile(`"0([1248]\d\d)"`).ReplaceAll(text, []byte(`"1$1"`))
	d, err := ParseDialect("1993.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLayoutsOf1993(t *testing.T) {
	d := edition1993(t)
	req := request(t, d, OpPurchase, purchase())
	if got := string(req.Get(12)) + " " + string(req.Get(22)); req.MTI != 0x1200 || got != "260612102001 810090S00000" {
		t.Errorf("%s: %s", req.MTI, got)
	}
	var ans Message
	answer(t, d, req, &Values{ResponseCode: "00", SentAt: purchase().SentAt}, &ans)
	if got := string(ans.Get(15)) + " " + string(ans.Get(39)); got != "260612 000" {
		t.Errorf("the answer says %s", got)
	}
	rev := request(t, d, OpReversal, reversal())
	if got := string(rev.Get(56)) + " " + string(rev.Get(30)); got != "020000012426061210210506123456 000000012500000000000000" {
		t.Errorf("the original is %s", got)
	}
	for op := OpSignOn; op <= OpEcho; op++ {
		if got := d.StepOf(request(t, d, op, signOn()), true); got == nil || got.Name != op.String() {
			t.Errorf("%s reads as %+v", op, got)
		}
	}
}

func TestLayoutsOf2003(t *testing.T) {
	text := withFields(t, "ascii87", map[int]string{
		11: "class: n, len: 12, content: ascii", 12: "class: n, len: 14, content: ascii", 15: "class: n, len: 8, content: ascii",
		39: "class: n, len: 4, content: ascii", 56: "class: n, var: {width: 2, enc: ascii, unit: bytes}, max: 41, content: ascii",
	}, "12: {from: local_time", "12: {from: local_date_time_century", "      56: {from: reason}\n", "      56: {from: original_2003}\n",
		"15: {from: settlement_date", "15: {from: settlement_date_century")
	d, err := ParseDialect("2003.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, d, OpPurchase, purchase())
	var ans Message
	answer(t, d, req, &Values{ResponseCode: "0000", SentAt: purchase().SentAt}, &ans)
	if got := string(req.Get(11)) + " " + string(req.Get(12)) + " " + string(ans.Get(15)); got != "000000000123 20260612102001 20260612" {
		t.Error(got)
	}
	if got := string(request(t, d, OpReversal, reversal()).Get(56)); got != "020000000000012420260612102105123456" {
		t.Errorf("the original is %s", got)
	}
	if _, err := ParseDialect("2003.yaml", bytes.Replace(text, []byte("from: original_2003"), []byte("from: settlement_date_century"), 1)); err == nil ||
		!strings.Contains(err.Error(), "settlement_date_century belongs in an answer") {
		t.Error(err)
	}
}
