package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ApplicationForm is what a shop says of itself when it asks to be connected. Every
// member is needed.
type ApplicationForm struct {
	Company       string `json:"company"`
	Registration  string `json:"registration_number"`
	Country       string `json:"country"` // ISO 3166-1 numeric
	City          string `json:"city"`
	StatementName string `json:"statement_name"` // as on the statement of a card, ASCII
	Site          string `json:"site"`
	ContactName   string `json:"contact_name"`
	Email         string `json:"email"` // the code goes there
	Phone         string `json:"phone"` // ITU-T E.164
	MCC           string `json:"mcc"`   // ISO 18245
	MonthlyVolume int64  `json:"monthly_volume"`
	Currency      string `json:"currency"`
	Language      string `json:"language"`    // en, ru or es
	TimeZone      string `json:"time_zone"`   // IANA
	Integration   string `json:"integration"` // page or api
}

// Application is an application as it stood when it was answered.
type Application struct {
	ID         string          `json:"id"`
	Version    int             `json:"version"`
	Number     int             `json:"number"`
	Stage      string          `json:"stage"` // applied, testing, joining, live, rejected, withdrawn or expired
	MerchantID string          `json:"merchant_id"`
	Form       ApplicationForm `json:"form"`
	Test       struct {
		Open  bool       `json:"open"`
		Until *time.Time `json:"until"` // nil: not opened yet, or open for ever
	} `json:"test_mode"`
	Banks   []ApplicationBank `json:"banks"`
	Checks  []ApplicationTest `json:"checks"`
	Missing []ApplicationNeed `json:"missing"`
	Can     []string          `json:"can"` // acts that are possible now

	Secret string `json:"secret"`  // of a new one, this once: the key of a Client for it
	APIKey string `json:"api_key"` // that an act issued, this once; empty: none

	Meta Meta `json:"-"`
}

// ApplicationBank is the way to one bank.
type ApplicationBank struct {
	Bank  string `json:"bank"`
	Name  string `json:"name"`
	Stage string `json:"stage"`
	Items []struct {
		ID     string `json:"id"`
		Text   string `json:"text"`
		Owner  string `json:"owner"`
		Kind   string `json:"kind"`
		Due    string `json:"due"` // a date
		Status string `json:"status"`
		Note   string `json:"note"`
	} `json:"items"`
	Contract struct {
		Form   string `json:"form"`
		Months int    `json:"months"` // 0: without an end
		Number string `json:"number"`
	} `json:"contract"`
}

// ApplicationTest is a check before live.
type ApplicationTest struct {
	Check  string `json:"check"` // webhook, refund or page
	Passed bool   `json:"passed"`
	Waived bool   `json:"waived"`
	Detail string `json:"detail"`
}

// ApplicationNeed is what is missing, and who owes it.
type ApplicationNeed struct {
	What    string `json:"what"`
	Bank    string `json:"bank"`
	Item    string `json:"item"`
	Owner   string `json:"owner"`
	Due     string `json:"due"` // a date
	Overdue bool   `json:"overdue"`
}

// ApplicationAct is one act of an applicant. Which members it takes depends on Type.
type ApplicationAct struct {
	Type    string   `json:"type"`               // confirm, choose_banks, upload, answer, accept_contract, check, new_key, drop_bank or withdraw
	Code    string   `json:"code,omitempty"`     // confirm
	Banks   []string `json:"banks,omitempty"`    // choose_banks
	Bank    string   `json:"bank,omitempty"`     // upload, answer, accept_contract, drop_bank
	Item    string   `json:"item,omitempty"`     // upload, answer
	Name    string   `json:"name,omitempty"`     // upload: of the file
	Content []byte   `json:"content,omitempty"`  // upload: a PDF, PNG or JPEG
	Text    string   `json:"text,omitempty"`     // answer
	Signer  string   `json:"signer,omitempty"`   // accept_contract
	Check   string   `json:"check,omitempty"`    // check
	Live    bool     `json:"livemode,omitempty"` // new_key
}

// Apply asks to be connected. The answer's Secret is the key of a Client for all that
// follows; o.Key is not used. The call is sent once: a repeat would be another
// application. Errors are *Problem or *Lost.
func Apply(ctx context.Context, o Options, form ApplicationForm) (*Application, error) {
	o.Key, o.KeyID = "none", ""
	c, err := Open(o)
	if err != nil {
		return nil, err
	}
	return c.application(ctx, call{method: http.MethodPost, path: "/v1/applications", single: true}, form)
}

func (c *Client) application(ctx context.Context, ask call, body any) (a *Application, err error) {
	if body != nil {
		if ask.body, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
	}
	a = new(Application)
	if a.Meta, err = c.do(ctx, ask, a); err != nil {
		return nil, err
	}
	return a, nil
}

// GetApplication reads an application; the client's key is its secret.
func (c *Client) GetApplication(ctx context.Context, id string) (*Application, error) {
	return c.application(ctx, call{method: http.MethodGet, path: "/v1/applications" + segment(id)}, nil)
}

// ActOnApplication does one act of an applicant. The call is sent once: after a *Lost
// read the application to see whether it was done.
func (c *Client) ActOnApplication(ctx context.Context, id string, act ApplicationAct) (*Application, error) {
	return c.application(ctx, call{method: http.MethodPost, path: "/v1/applications" + segment(id) + "/acts", single: true}, act)
}

// ApplicationGuide is the integration guide with the shop's own ids, in Markdown.
func (c *Client) ApplicationGuide(ctx context.Context, id string) (string, error) {
	ask := call{method: http.MethodGet, path: "/v1/applications" + segment(id) + "/guide"}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	request, err := c.request(ctx, ask)
	if err != nil {
		return "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", &Lost{Method: ask.method, Path: ask.path, Err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err == nil && len(text) > maxAnswer:
		err = errors.New("the answer is too long")
	case err == nil && response.StatusCode != http.StatusOK:
		return "", problemOf(response, text, "")
	}
	if err != nil {
		return "", &Lost{Method: ask.method, Path: ask.path, Err: err}
	}
	return string(text), nil
}
