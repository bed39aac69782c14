package payswitch

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"reflect"
	"testing"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// secretsOf are the forms in which a request's card data could stand somewhere.
func secretsOf(q *PayRequest) map[string][]byte {
	pan := q.PAN.Append(nil)
	packed, _ := hex.DecodeString(string(pan))
	secrets := map[string][]byte{"the card number": pan, "the packed card number": packed, "the card number in hex": []byte(hex.EncodeToString(pan)),
		"the verification code": q.CVC.Append(nil), "the authentication value": []byte(q.ThreeDS.CAVV)}
	if x := q.Secrets; x != nil {
		secrets["the cryptogram"], secrets["the chip data"] = x.Cryptogram.Append(nil), x.EMV.Append(nil)
		secrets["the chip data in hex"] = []byte(hex.EncodeToString(x.EMV.Append(nil)))
		secrets["the PIN block for the bank"] = x.PINBlock.Append(nil)
		secrets["the PIN block for the bank in hex"] = []byte(hex.EncodeToString(x.PINBlock.Append(nil)))
		_, rest, _ := bytes.Cut(x.Track2.Append(nil), []byte("="))
		secrets["the rest of the track"] = rest
	}
	if q.PIN != nil {
		secrets["the PIN block"], secrets["the PIN block in hex"] = q.PIN.Block.Append(nil), []byte(hex.EncodeToString(q.PIN.Block.Append(nil)))
	}
	for what, secret := range secrets {
		if len(secret) == 0 {
			delete(secrets, what)
		}
	}
	return secrets
}

// wantsNoSecrets stops the switch and looks for the requests' card data in every
// record and in the log.
func (r *rig) wantsNoSecrets(paid []*PayRequest, log *bytes.Buffer) {
	r.t.Helper()
	var records bytes.Buffer
	if err := r.store.RecordsFrom(storage.ID{}, func(_ storage.ID, _ uint32, body []byte) bool {
		records.Write(body)
		records.WriteByte(0xff)
		return true
	}); err != nil {
		r.t.Fatal(err)
	}
	r.stop()
	for _, q := range paid {
		for what, secret := range secretsOf(q) {
			if bytes.Contains(records.Bytes(), secret) {
				r.t.Errorf("%s stands in a record of %s", what, q.IdempotencyKey)
			}
			if bytes.Contains(log.Bytes(), secret) {
				r.t.Errorf("%s of %s stands in the log", what, q.IdempotencyKey)
			}
		}
	}
	if records.Len() < 1000 || log.Len() == 0 {
		r.t.Errorf("%d bytes of records and %d of log: nothing was looked at", records.Len(), log.Len())
	}
}

// TestNoSecretsAtRest: neither a record nor a log line holds card data, also
// when a payment goes wrong.
func TestNoSecretsAtRest(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var log bytes.Buffer
		r.core.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		a := r.account("one")
		var paid []*PayRequest
		for _, does := range []banksim.Behaviour{banksim.Approve, banksim.Decline51, banksim.ChargedWithoutAnswer, banksim.WrongAmount, banksim.LateAnswer} {
			q := r.request("key "+string(does), cardOf(does), 100)
			q.CVC, _ = iso.ParseCVC([]byte("7391"))
			q.ThreeDS = ThreeDS{ECI: "05", CAVV: "AAABBWFlmQAAAABjRWWZEEFgFz+="}
			r.wants(a, q, "alfa", "")
			paid = append(paid, q)
		}
		a.Merchant.CardPresent = true
		present := r.atTerminal("terminal")
		token := r.request("token", cardOf(banksim.NetworkToken), 100)
		token.CVC, token.Carried = iso.CVC{}, &iso.Carried{NetworkToken: true}
		token.Secrets = &iso.Secrets{Cryptogram: iso.NewSecret([]byte("AgAAAAAABk4DWZ4C28yUQAAAAAA="))}
		for _, q := range []*PayRequest{present, token} {
			if p := r.wants(a, q, "alfa", ""); p.Status != StatusCaptured {
				t.Errorf("%s: %s", q.IdempotencyKey, p.Status)
			}
			paid = append(paid, q)
		}
		r.pass(3 * rigResponse)
		r.wantsNoSecrets(paid, &log)
	})
}

// TestAnswersAreMasked: what a bank sends back of a card is masked before it is
// recorded.
func TestAnswersAreMasked(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		w, b := newWork(), r.core.order[0]
		card := cardOf(banksim.Approve)
		for _, fate := range []acquirers.Fate{acquirers.Answered, acquirers.Refuted} {
			m := new(iso.Message)
			m.MTI = iso.MTIFinancialAnswer
			m.SetString(fieldPAN, card)
			m.SetString(fieldResponseCode, "00")
			m.SetString(48, "920037391")
			w.exchange.Answer = m
			w.holds(b.link.Current())
			outcome := r.core.outcome(w, fate)
			if body := outcome.encode(nil); bytes.Contains(body, []byte(card)) || bytes.Contains(body, []byte("7391")) {
				t.Errorf("%s: the answer is recorded as it came: %q", fate, body)
			}
		}
	})
}

// TestSealIsBound: a sealed card number opens under its own payment only.
func TestSealIsBound(t *testing.T) {
	keys := newRig(t).keys
	pan, err := iso.ParsePAN([]byte(cardOf(banksim.Approve)))
	if err != nil {
		t.Fatal(err)
	}
	sealed := keys.seal(nil, pan, ID{1})
	if got, err := keys.open(sealed, ID{1}); err != nil || got != pan {
		t.Errorf("its own payment: %v", err)
	}
	if _, err := keys.open(sealed, ID{2}); err == nil {
		t.Error("another payment opened it")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := keys.open(sealed, ID{1}); err == nil {
		t.Error("a changed seal opened")
	}
}

// TestWorkIsWiped: after a payment its scratch memory holds nothing of the card.
func TestWorkIsWiped(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		q, w := r.request("key", cardOf(banksim.Approve), 100), newWork()
		q.CVC, _ = iso.ParseCVC([]byte("7391"))
		w.holds(r.core.order[0].link.Speak())
		way, err := r.core.dir.Load().route("mer_one", "alfa").take(w.version.Dialect(), iso.OpPurchase, r.core.now())
		if err != nil {
			t.Fatal(err)
		}
		w.wish = q
		in := intent{way: way, operation: iso.OpPurchase, mcc: "5411", nameLocation: "X", country: "276", amount: 100, currency: q.Currency,
			localAt: r.core.now(), card: Card{Expiry: q.Expiry}}
		if err := w.build(&in); err != nil {
			t.Fatal(err)
		}
		arena := reflect.ValueOf(&w.request).Elem().FieldByName("arena")
		all := arena.Slice(0, arena.Cap()).Bytes()
		if !bytes.Contains(all, q.CVC.Append(nil)) {
			t.Fatal("the message holds no verification code: the test looks at nothing")
		}
		w.reset()
		if len(bytes.Trim(all, "\x00")) != 0 || !w.values.PAN.IsZero() || !w.values.CVC.IsZero() || w.wish != nil {
			t.Error("the scratch memory still holds the payment")
		}
	})
}
