package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tranzit/tranzit/frontend/assist"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// AssistConfig is the bridge for shops that come from the Assist payment system.
type AssistConfig struct {
	Enabled bool               `yaml:"enabled"`
	Shops   []AssistShopConfig `yaml:"shops"`
}

// AssistShopConfig says who one Merchant_ID is.
type AssistShopConfig struct {
	MerchantID     string   `yaml:"merchant_id"`
	Merchant       string   `yaml:"merchant"`
	Mode           string   `yaml:"mode"`
	Login          string   `yaml:"login"`
	Password       string   `yaml:"password"`
	SecretWord     string   `yaml:"secret_word"`
	CheckDelimiter string   `yaml:"check_delimiter"`
	Currency       string   `yaml:"currency"`
	IgnoreReceipts bool     `yaml:"ignore_receipts"`
	Addresses      []string `yaml:"addresses"`
}

// assistAdapter is the bridge over a switch; nil when it is off.
func (c *Config) assistAdapter(core *payswitch.Switch) (*assist.Adapter, error) {
	if !c.Assist.Enabled {
		return nil, nil
	}
	shops, err := c.assistShops()
	if err != nil {
		return nil, err
	}
	return assist.New(assist.Options{Switch: core, Shops: shops})
}

// assistShops turns the shops of the configuration into the bridge's form. They
// are checked also while it is off.
func (c *Config) assistShops() (shops []assist.Shop, err error) {
	seen := map[string]bool{}
	for i := range c.Assist.Shops {
		shop, err := c.assistShop(i)
		if err != nil {
			return nil, err
		}
		if seen[shop.MerchantID] {
			return nil, c.fault(fmt.Sprintf("assist.shops[%d].merchant_id", i), "%q is used twice", shop.MerchantID)
		}
		seen[shop.MerchantID] = true
		shops = append(shops, shop)
	}
	if c.Assist.Enabled && len(shops) == 0 {
		return nil, c.fault("assist.shops", "at least one shop is needed")
	}
	return shops, nil
}

func (c *Config) assistShop(i int) (shop assist.Shop, err error) {
	from := &c.Assist.Shops[i]
	at := func(key string) string { return fmt.Sprintf("assist.shops[%d].%s", i, key) }
	known := false
	for j := range c.Merchants {
		known = known || c.Merchants[j].ID == from.Merchant
	}
	currency := from.Currency
	setDefault(&currency, "RUB")
	shop = assist.Shop{MerchantID: from.MerchantID, Merchant: from.Merchant, Live: from.Mode == "live", Login: from.Login,
		Delimiter: from.CheckDelimiter, IgnoreReceipts: from.IgnoreReceipts}
	switch shop.Currency, err = iso.ParseCurrency(currency); {
	case err != nil:
		return shop, c.fault(at("currency"), "%q is not an ISO 4217 code", currency)
	case from.Mode != "test" && from.Mode != "live":
		return shop, c.fault(at("mode"), "%q is not one of test, live", from.Mode)
	case !known:
		return shop, c.fault(at("merchant"), "there is no merchant %q", from.Merchant)
	}
	for _, s := range []struct {
		key, text string
		into      *string
	}{{"password", from.Password, &shop.Password}, {"secret_word", from.SecretWord, &shop.SecretWord}} {
		if shop.Live && s.text != "" && !strings.HasPrefix(s.text, "file:") && !strings.HasPrefix(s.text, "env:") {
			return shop, c.fault(at(s.key), "in live mode it is given as file: or env:, never in clear")
		}
		if *s.into, err = secret(s.text); err != nil {
			return shop, c.fault(at(s.key), "%v", err)
		}
	}
	for j, text := range from.Addresses {
		var p netip.Prefix
		if p, err = payswitch.ParseAddress(text); err != nil {
			return shop, c.fault(fmt.Sprintf("assist.shops[%d].addresses[%d]", i, j), "%q: %v", text, err)
		}
		shop.Addresses = append(shop.Addresses, p)
	}
	if err := shop.Validate(); err != nil {
		return shop, c.fault(fmt.Sprintf("assist.shops[%d]", i), "%v", err)
	}
	return shop, nil
}
