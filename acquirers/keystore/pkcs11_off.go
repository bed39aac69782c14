//go:build !pkcs11

package keystore

import "errors"

// OpenPKCS11 refuses: this binary was built without the tag pkcs11.
func OpenPKCS11(Module) (Store, error) {
	return nil, errors.New("this binary has no PKCS#11: build it with CGO_ENABLED=1 go build -tags pkcs11 ./cmd/tranzit")
}
