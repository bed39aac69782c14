package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Act is the body of every call that changes something: who does it and why.
// Bank and As are read by the calls that need them.
type Act struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Bank     string `json:"bank,omitempty"`   // pin: the bank; empty unpins
	Check    string `json:"check,omitempty"`  // retire a vault key: the check value of the present one
	As       string `json:"as,omitempty"`     // close: reversed, captured, authorized, or succeeded for a payout; of an operation: succeeded, declined or reversed
	Links    []int  `json:"links,omitempty"`  // canary: numbers of the links
	Count    int    `json:"count,omitempty"`  // canary: or how many, the last ones
	Amount   int64  `json:"amount,omitempty"` // close as captured or authorized: what stands, minor units; 0: what the bank's answer approved
}

func (s *Server) routeActs(mux *http.ServeMux) {
	mux.HandleFunc("POST /admin/v1/banks/{id}/drain", s.act(func(id string, a Act) error {
		return s.o.Switch.SetDrained(id, true, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/banks/{id}/resume", s.act(func(id string, a Act) error {
		return s.o.Switch.SetDrained(id, false, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/banks/{id}/change-keys", s.act(func(id string, a Act) error {
		return s.o.Switch.ChangeKeys(id, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/banks/{id}/dialect/canary", s.act(func(id string, a Act) error {
		return s.o.Switch.StartCanary(id, payswitch.Canary{Links: a.Links, Count: a.Count}, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/banks/{id}/dialect/promote", s.act(func(id string, a Act) error {
		return s.o.Switch.Promote(id, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/banks/{id}/dialect/rollback", s.act(func(id string, a Act) error {
		return s.o.Switch.RollBack(id, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/merchants/{id}/pin", s.act(func(id string, a Act) error {
		return s.o.Switch.Pin(id, a.Bank, a.by())
	}))
	for word, on := range map[string]bool{"on": true, "off": false} {
		mux.HandleFunc("POST /admin/v1/merchants/{id}/receipts/"+word, s.act(func(id string, a Act) error {
			return s.o.Switch.SetReceipts(id, on, a.by())
		}))
	}
	mux.HandleFunc("POST /admin/v1/payments/{id}/allow-card", s.act(func(id string, a Act) error {
		payment, err := payswitch.ParseID(payswitch.PaymentPrefix, id)
		if err != nil {
			return errPaymentID
		}
		return s.o.Switch.AllowCard(payment, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/saf/{id}/retry", s.act(func(id string, a Act) error {
		if operation, ok := payswitch.ParseOperationID(id); ok {
			return s.o.Switch.RetryOperation(operation, a.by())
		}
		_, payment, ok := payswitch.ParsePaymentID(id)
		if !ok {
			return errPaymentID
		}
		return s.o.Switch.RetryReversal(payment, a.by())
	}))
	mux.HandleFunc("POST /admin/v1/saf/{id}/close", s.act(func(id string, a Act) error {
		if operation, ok := payswitch.ParseOperationID(id); ok {
			if a.Amount != 0 {
				return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/amount", Detail: "An operation is closed whole: it takes no amount."}
			}
			return s.o.Switch.CloseOperation(operation, a.As, a.by())
		}
		_, payment, ok := payswitch.ParsePaymentID(id)
		if !ok {
			return errPaymentID
		}
		as, ok := payswitch.ParseStatus(a.As)
		if !ok {
			return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/as", Detail: "Say as what: reversed, captured or authorized, or succeeded for a payout."}
		}
		return s.o.Switch.CloseReversal(payment, as, a.Amount, a.by())
	}))
}

var errPaymentID = &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "That is not the id of a payment or of an operation."}

func (a *Act) by() payswitch.Act { return payswitch.Act{Operator: a.Operator, Reason: a.Reason} }

const maxAct = 16 << 10

func (s *Server) act(do func(id string, a Act) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var a Act
		dec := json.NewDecoder(io.LimitReader(r.Body, maxAct))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body must be JSON with operator and reason"})
			return
		}
		if err := do(r.PathValue("id"), a); err != nil {
			fail(w, err)
			return
		}
		reply(w, http.StatusOK, map[string]string{"status": "done"})
	}
}

// statusOf maps a refusal to its HTTP status.
func statusOf(err error) int {
	var refusal *payswitch.Refusal
	if !errors.As(err, &refusal) {
		return http.StatusInternalServerError
	}
	switch refusal.Code {
	case payswitch.CodeNotFound:
		return http.StatusNotFound
	case payswitch.CodeInvalidState:
		return http.StatusConflict
	case payswitch.CodeForbidden:
		return http.StatusForbidden
	case payswitch.CodeInvalidRequest, payswitch.CodeUnknownBank:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
