package admin

import (
	"net/http"
	"slices"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// catalogue answers with every bank, those that nobody can join included, in the
// language of ?lang=, or in English.
func (s *Server) catalogue(w http.ResponseWriter, r *http.Request) {
	language := r.URL.Query().Get("lang")
	if language != "" && !slices.Contains(iso.Languages(), language) {
		reply(w, http.StatusBadRequest, map[string]string{"error": "lang must be en, ru or es"})
		return
	}
	views := []payswitch.BankView{}
	for _, o := range s.o.Switch.BankOffers() {
		views = append(views, o.View(language))
	}
	reply(w, http.StatusOK, map[string]any{"data": views})
}
