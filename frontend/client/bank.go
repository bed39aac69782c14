package client

import (
	"context"
	"net/http"
	"net/url"
)

// Bank is what one bank supports and demands. Empty lists allow all.
type Bank struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	Live      bool   `json:"livemode"`
	Connected bool   `json:"connected"` // you can pay there
	Name      string `json:"name"`
	About     string `json:"about"`
	Profile   struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	} `json:"profile"`
	Dialect    string   `json:"dialect"`
	Countries  []string `json:"countries"` // of merchants, ISO 3166 numeric
	Currencies []string `json:"currencies"`
	MCC        struct {
		Taken   []string `json:"taken"`
		Refused []string `json:"refused"`
	} `json:"mcc"`
	Cards struct {
		Brands  []string `json:"brands"`
		Refused []struct {
			Product string   `json:"product"`
			Bins    []string `json:"bins"`
		} `json:"refused"`
	} `json:"cards"`
	Channels       []string        `json:"channels"`
	Credentials    []string        `json:"credentials"`
	NetworkTokens  bool            `json:"network_tokens"`
	MaxInstalments int             `json:"max_instalments"`
	Demands        []string        `json:"demands"`
	Operations     []BankOperation `json:"operations"`
	HoldDays       int             `json:"hold_days"`
	CutOver        string          `json:"cut_over"` // of the business day, on the clock of TimeZone
	TimeZone       string          `json:"time_zone"`
	Fields         []FieldDemand   `json:"fields"`
	Fees           []BankFee       `json:"fees"` // for information
	Joining        *BankJoining    `json:"joining"`
}

// BankOperation is what a bank allows of one operation. A nil member says nothing
// about it.
type BankOperation struct {
	Operation string `json:"operation"`
	Amounts   []struct {
		Currency string `json:"currency"`
		From     int64  `json:"from"`
		To       int64  `json:"to"`
	} `json:"amounts"` // minor units; a currency that is not named has no limits
	Partial     *bool `json:"partial"`
	Several     *bool `json:"several"`      // captures of one hold
	OverPercent *int  `json:"over_percent"` // more than the hold that may be captured
	Lengthens   *bool `json:"lengthens"`    // an increment lengthens the hold
	Days        *int  `json:"days"`         // after the approval; 0: for ever
}

// FieldDemand is a rule of the bank for one ISO 8583 field.
type FieldDemand struct {
	Operation string `json:"operation"`
	Number    int    `json:"number"`
	Name      string `json:"name"`
	Rule      string `json:"rule"`
}

// BankFee is what a bank takes for something.
type BankFee struct {
	For     string   `json:"for"`     // an operation, "month" or "joining"
	Brands  []string `json:"brands"`  // empty: of all
	Percent string   `json:"percent"` // decimal, or empty
	Fixed   []struct {
		Currency string `json:"currency"`
		Amount   int64  `json:"amount"`
	} `json:"fixed"`
	Text string `json:"text"`
}

// BankJoining is how a merchant comes to a bank.
type BankJoining struct {
	WorkingDays    int `json:"working_days"`
	ConnectionDays int `json:"connection_days"`
	Contract       struct {
		Form   string `json:"form"`   // "accession", "bilateral" or "trilateral"
		Months int    `json:"months"` // 0: without an end
		Text   string `json:"text"`
	} `json:"contract"`
	Requirements []BankRequirement `json:"requirements"`
}

// BankRequirement is one item of a bank's checklist.
type BankRequirement struct {
	ID          string `json:"id"`
	Owner       string `json:"owner"` // "merchant", "bank" or "us"
	Kind        string `json:"kind"`  // "document", "field" or "check"
	WorkingDays int    `json:"working_days"`
	Text        string `json:"text"`
}

// Banks lists your banks and those that you can join. language is "en", "ru", "es"
// or empty.
func (c *Client) Banks(ctx context.Context, language string) ([]Bank, error) {
	var list struct {
		Data []Bank `json:"data"`
	}
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/banks", query: inLanguage(language)}, &list); err != nil {
		return nil, err
	}
	return list.Data, nil
}

// Bank reads one of Banks.
func (c *Client) Bank(ctx context.Context, id, language string) (*Bank, error) {
	b := new(Bank)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/banks/" + url.PathEscape(id), query: inLanguage(language)}, b); err != nil {
		return nil, err
	}
	return b, nil
}

func inLanguage(language string) url.Values {
	if language == "" {
		return nil
	}
	return url.Values{"lang": {language}}
}
