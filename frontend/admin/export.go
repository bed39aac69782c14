package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// ExportLine is one event of the journal, as one line of JSON: the payment as
// it stood after the event, without its card number.
type ExportLine struct {
	Payment          string `json:"payment"`
	Merchant         string `json:"merchant"`
	Bank             string `json:"bank"`
	OrderID          string `json:"order_id"`
	Amount           int64  `json:"amount"`
	AmountAuthorized int64  `json:"amount_authorized"`
	AmountCaptured   int64  `json:"amount_captured"`
	AmountRefunded   int64  `json:"amount_refunded"`
	Currency         string `json:"currency"`
	STAN             uint32 `json:"stan"`
	RRN              string `json:"rrn"`
	Card             string `json:"card"`
	Version          uint32 `json:"version"`
	At               string `json:"at"`
	Event            string `json:"event"`
	Status           string `json:"status"`
	Detail           string `json:"detail"`
}

// WriteExport writes every event of store to out, in the order of payment ids
// and versions, one ExportLine each. It ends with the first error of either.
func WriteExport(store *storage.Store, out io.Writer) error {
	enc := json.NewEncoder(out)
	return payswitch.Export(store, func(p payswitch.Payment, e payswitch.TimelineEvent) error {
		return enc.Encode(ExportLine{
			Payment: p.Name(), Merchant: p.Merchant, Bank: p.Bank, OrderID: p.OrderID,
			Amount: p.Amount, AmountAuthorized: p.AmountAuthorized, AmountCaptured: p.AmountCaptured, AmountRefunded: p.AmountRefunded,
			Currency: p.Currency.Alpha(), STAN: uint32(p.STAN), RRN: p.RRN, Card: p.Card.BIN + "******" + p.Card.Last4,
			Version: e.Version, At: e.At.Format(time.RFC3339Nano), Event: e.Type, Status: e.Status.String(), Detail: e.Detail,
		})
	})
}

// export streams the journal. What breaks off ends the connection without the
// last chunk, so that no client takes a part for the whole.
func (s *Server) export(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := WriteExport(s.o.Store, w); err != nil {
		s.o.Logger.Warn("an export of the journal broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
}
