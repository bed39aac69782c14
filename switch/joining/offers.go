package joining

import (
	"slices"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Offers are the banks that an application can still choose and that take such a
// shop, in configured order.
func (f *Office) Offers(a *Application) []payswitch.BankOffer {
	return slices.DeleteFunc(f.o.Switch.BankOffers(), func(o payswitch.BankOffer) bool {
		_, open := f.terms(o.ID)
		return !open || a.track(o.ID) != nil || o.Profile.TakesMerchant(a.Form.MCC, a.Form.Country) != iso.Fits
	})
}

// MaxDocument is how many bytes a document may have; 0: none are taken.
func (f *Office) MaxDocument() int {
	if f.o.Documents == "" {
		return 0
	}
	return f.o.MaxDocument
}

// Counts are how many applications are at each stage.
func (f *Office) Counts() map[Stage]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[Stage]int{}
	for _, a := range f.by {
		counts[a.Stage()]++
	}
	return counts
}
