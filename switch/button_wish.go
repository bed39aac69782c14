package payswitch

import "time"

// ButtonWish is what is asked of a new button, in the words of the API.
type ButtonWish struct {
	Name           string     `json:"name"`
	Amount         int64      `json:"amount,omitempty"` // minor units; 0: the buyer chooses
	MinAmount      int64      `json:"min_amount,omitempty"`
	MaxAmount      int64      `json:"max_amount,omitempty"`
	MaxQuantity    int        `json:"max_quantity,omitempty"` // default 1
	Currency       string     `json:"currency"`
	OrderID        string     `json:"order_id"`
	Reusable       *bool      `json:"reusable,omitempty"` // default true
	Description    string     `json:"description,omitempty"`
	CaptureMethod  string     `json:"capture_method,omitempty"` // automatic, the default, or manual
	Language       string     `json:"language,omitempty"`
	SuccessURL     string     `json:"success_url,omitempty"`
	FailURL        string     `json:"fail_url,omitempty"`
	ReturnURL      string     `json:"return_url,omitempty"`
	SessionMinutes int        `json:"session_minutes,omitempty"` // default 60
	ExpiresAt      *time.Time `json:"expires_at,omitempty"`
}

// Button reads the words. Errors are refusals that name the member.
func (w *ButtonWish) Button() (Button, error) {
	b := Button{Name: w.Name, Amount: w.Amount, MinAmount: w.MinAmount, MaxAmount: w.MaxAmount, MaxQuantity: w.MaxQuantity, Currency: w.Currency,
		OrderID: w.OrderID, Once: w.Reusable != nil && !*w.Reusable, Description: w.Description, ManualCapture: w.CaptureMethod == "manual",
		Language: w.Language, SuccessURL: w.SuccessURL, FailURL: w.FailURL, ReturnURL: w.ReturnURL}
	if w.CaptureMethod != "" && w.CaptureMethod != "automatic" && w.CaptureMethod != "manual" {
		return b, &Refusal{Code: CodeInvalidRequest, Pointer: "/capture_method", Detail: "Must be automatic or manual."}
	}
	if w.SessionMinutes < 0 || w.SessionMinutes > int(MaxPressLife.Minutes()) {
		return b, &Refusal{Code: CodeInvalidRequest, Pointer: "/session_minutes", Detail: "Must be 10 to 1440."}
	}
	b.PressLife = time.Duration(w.SessionMinutes) * time.Minute
	if w.ExpiresAt != nil {
		b.ExpiresAt = *w.ExpiresAt
	}
	return b, nil
}
