package joining

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOpenByLetter: the code of the letter alone opens test mode, once; after a power
// cut, and for a while, it still proves the contact; then it is worth nothing.
func TestOpenByLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.close() }()
		fresh, err := d.Apply(goodForm())
		must(t, err)
		id := fresh.Application.ID
		_, data := d.lastLetter()
		_, wrong := d.Open(id, "nonsense")
		_, none := d.Open(d.core.NewID(), data.Code)
		if wrong == nil || none == nil || wrong.Error() != none.Error() {
			t.Errorf("a wrong code: %v; no application: %v", wrong, none)
		}
		d.crash()
		done, err := d.Open(id, data.Code)
		must(t, err)
		if account, ok := d.core.Authenticate([]byte(done.Secret)); !ok || account.Merchant.ID != done.Application.Merchant {
			t.Errorf("the key opens %+v, %t", account, ok)
		}
		d.crash()
		again, err := d.Open(id, data.Code)
		must(t, err)
		if again.Secret != "" || again.Application.Merchant != done.Application.Merchant || again.Application.Keys != 1 {
			t.Errorf("pressed again it gives %+v", again.Application)
		}
		time.Sleep(6 * 24 * time.Hour)
		if _, err := d.Open(id, data.Code); err == nil || !strings.Contains(err.Error(), "opens nothing any more") {
			t.Errorf("days later: %v", err)
		}
		for range maxCodeTries {
			_, _ = d.Open(id, "nonsense")
		}
		if _, err = d.Open(id, data.Code); err == nil || !strings.Contains(err.Error(), "was tried") {
			t.Errorf("after %d wrong codes: %v", maxCodeTries, err)
		}
	})
}
