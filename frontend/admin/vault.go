package admin

import (
	"net/http"
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

func (s *Server) routeVault(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/vault", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.o.Switch.Vault())
	})
	mux.HandleFunc("POST /admin/v1/vault/add-key", s.act(func(_ string, a Act) error {
		return s.o.Switch.AddVaultKey(a.by())
	}))
	mux.HandleFunc("POST /admin/v1/vault/rotate", s.act(func(_ string, a Act) error {
		return s.o.Switch.RotateVault(a.by())
	}))
	mux.HandleFunc("POST /admin/v1/vault/keys/{id}/retire", s.act(func(text string, a Act) error {
		id, err := strconv.ParseUint(text, 10, 8)
		if err != nil || id == 0 {
			return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The id of a vault key is 1 to 255."}
		}
		return s.o.Switch.RetireVaultKey(byte(id), a.Check, a.by())
	}))
}
