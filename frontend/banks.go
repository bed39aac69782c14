package frontend

import (
	"slices"

	"golang.org/x/text/language"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// maxAcceptLanguage bounds what is read of the header; a browser sends less than 100 bytes.
const maxAcceptLanguage = 256

var languages = func() language.Matcher {
	var tags []language.Tag
	for _, l := range iso.Languages() {
		tags = append(tags, language.MustParse(l))
	}
	return language.NewMatcher(tags)
}()

// languageOf is the one of iso.Languages that suits an Accept-Language header (RFC
// 9110, section 12.5.4) best.
func languageOf(header []byte) string {
	if len(header) > maxAcceptLanguage {
		return iso.Languages()[0]
	}
	_, at := language.MatchStrings(languages, string(header))
	return iso.Languages()[at]
}

// askedLanguage is that of the parameter lang, else that of Accept-Language; or it
// answers that there is no such parameter or language.
func (c *call) askedLanguage() (asked string, ok bool) {
	asked = languageOf(c.ctx.Request.Header.PeekCanonical(headAcceptLanguage))
	ok = c.eachParameter(func(name string, value []byte) string {
		switch {
		case name != "lang":
			return "unknown_field"
		case !slices.Contains(iso.Languages(), string(value)):
			return "unknown_language"
		}
		asked = string(value)
		return ""
	})
	return asked, ok
}

var headAcceptLanguage = []byte("Accept-Language")

// bankList is the answer of GET /v1/banks.
type bankList struct {
	Object     string               `json:"object"`
	Language   string               `json:"language"`
	Data       []payswitch.BankView `json:"data"`
	HasMore    bool                 `json:"has_more"`
	NextCursor *string              `json:"next_cursor"`
}

// listBanks answers GET /v1/banks: the banks of the merchant and those it can join.
func (c *call) listBanks() {
	if asked, ok := c.askedLanguage(); ok {
		c.answerJSON(200, bankList{Object: "list", Language: asked, Data: c.server.sw.BanksFor(c.account, asked)})
	}
}

// getBank answers GET /v1/banks/{id}.
func (c *call) getBank() {
	asked, ok := c.askedLanguage()
	if !ok {
		return
	}
	for _, v := range c.server.sw.BanksFor(c.account, asked) {
		if v.ID == c.bank {
			c.answerJSON(200, v)
			return
		}
	}
	c.refuse(problem{kind: problemNotFound, detail: "There is no such bank."})
}

// targetBank reads the id of the path.
func (c *call) targetBank(text []byte) bool {
	c.bank = string(text)
	return true
}

// addBanks adds the routes of the banks' catalogue.
func (r *routes) addBanks(with func(route) *route) {
	r.banks = with(route{name: "/v1/banks", get: (*call).listBanks, reads: payswitch.ScopePaymentsRead})
	r.bank = with(route{name: "/v1/banks/{id}", get: (*call).getBank, target: (*call).targetBank, reads: payswitch.ScopePaymentsRead})
}
