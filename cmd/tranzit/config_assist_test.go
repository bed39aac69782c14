package main

import (
	"strings"
	"testing"
)

const assistConfig = soundConfig + `assist:
  enabled: true
  shops:
    - merchant_id: "515089"
      merchant: shop
      mode: test
      login: shop_login
      password: twelve-letters
      secret_word: twelve-letters
      check_delimiter: ";"
      currency: EUR
      addresses: [192.0.2.0/24]
`

func TestAssistConfig(t *testing.T) {
	c, err := parseConfig("tranzit.yaml", []byte(assistConfig))
	if err != nil {
		t.Fatal(err)
	}
	shops, err := c.assistShops()
	if err != nil || len(shops) != 1 || shops[0].Currency.Alpha() != "EUR" || shops[0].Live || len(shops[0].Addresses) != 1 {
		t.Errorf("%v, %v", shops, err)
	}
	off, err := parseConfig("tranzit.yaml", []byte(soundConfig))
	if err != nil {
		t.Fatal(err)
	}
	if adapter, err := off.assistAdapter(nil); adapter != nil || err != nil {
		t.Errorf("it is on by default: %v", err)
	}
}

// TestAssistConfigMistakes: each is one line with file, line and key, and quotes no
// secret.
func TestAssistConfigMistakes(t *testing.T) {
	shop := "    - merchant_id" + strings.SplitN(assistConfig, "    - merchant_id", 2)[1]
	for _, m := range []struct{ old, new, want string }{
		{"merchant: shop", "merchant: nobody", `assist.shops[0].merchant: there is no merchant "nobody"`},
		{"mode: test\n      login", "mode: both\n      login", `assist.shops[0].mode: "both" is not one of test, live`},
		{"mode: test\n      login", "mode: live\n      login", "assist.shops[0].password: in live mode it is given as file: or env:, never in clear"},
		{"login: shop_login", "login: ''", "assist.shops[0]: a login of at most 64 characters is needed"},
		{"password: twelve-letters", "password: short-one", "assist.shops[0]: the password must have at least 12 characters"},
		{"password: twelve-letters", "password: file:/nowhere/at/all", "assist.shops[0].password: open /nowhere/at/all"},
		{"secret_word: twelve-letters", "secret_word: short-one", "assist.shops[0]: the secret word must have at least 12 characters"},
		{`"515089"`, `"51508x"`, "assist.shops[0]: the merchant id must be 1 to 20 digits"},
		{`check_delimiter: ";"`, `check_delimiter: "-"`, "assist.shops[0]: the delimiter of check values is ; or none"},
		{"currency: EUR", "currency: EURO", `assist.shops[0].currency: "EURO" is not an ISO 4217 code`},
		{"192.0.2.0/24", "192.0.2.1/24", `assist.shops[0].addresses[0]: "192.0.2.1/24": has bits behind the mask`},
		{"      currency: EUR", "      curency: EUR", `unknown key "curency"`},
		{shop, "", "assist.shops: at least one shop is needed"},
		{shop, shop + shop, `assist.shops[1].merchant_id: "515089" is used twice`},
	} {
		text := strings.Replace(assistConfig, m.old, m.new, 1)
		_, err := parseConfig("tranzit.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "tranzit.yaml:") || !strings.Contains(err.Error(), m.want) || strings.Contains(err.Error(), "short-one") {
			t.Errorf("%q: %v, want %s", m.new, err, m.want)
		}
	}
}
