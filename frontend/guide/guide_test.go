package guide

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/switch/joining"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGuide: the guide of a shop with hostile words in its form, as both files.
func TestGuide(t *testing.T) {
	merchant, until := "mer_01kaz7q2v5e8xv9h2m3n4p5q6r", "2026-11-28T09:00:00.000Z"
	v := joining.View{ID: "app_01kaz7q2v5e8xv9h2m3n4p5q6r", Stage: joining.StageJoining, MerchantID: &merchant, Form: joining.Form{Company: "Roses | <script>alert(1)</script>", Integration: "page"},
		Test: joining.TestView{Until: &until}, Banks: []joining.BankView{{Bank: "alfa", Name: "Alfa", Stage: joining.TrackConnection, Connection: joining.LinkView{MerchantID: "SHOP00000000001", Terminals: []string{"TERM0001", "TERM0002"}}}}}
	for _, language := range joining.Languages {
		v.Form.Language = language
		d := Of(&v, "https://api.example", []Bank{{ID: "sim", Name: "sim", MerchantID: "TST000000000017", Terminals: []string{"T0000017"}}}, []Card{{"4111111111111111", "approves"}})
		d.Snippet, d.SignedForm, d.FormKey, d.FormUntil = `<form action="https://api.example/buy/btn_x"></form>`, `<form action="https://api.example/buy/key_x"></form>`, "key_x", "2026-11-28"
		text, err := Markdown(&d)
		if err != nil {
			t.Fatal(err)
		}
		document, err := HTML(&d)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(document, "<script") || strings.Contains(document, "<form") || !strings.Contains(document, `<html lang="`+language+`">`) ||
			strings.Count(document, "<table>") != strings.Count(document, "</table>") || strings.Count(document, "<pre>") != strings.Count(document, "</pre>") {
			t.Error("the page is not well formed")
		}
		for name, got := range map[string]string{language + ".md": text, language + ".html": document} {
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(golden); err != nil || string(want) != got {
				t.Errorf("%s changed; read it and run with -update (%v)", name, err)
			}
		}
	}
}
