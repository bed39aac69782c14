package keystore

// Module says where a hardware module is.
type Module struct {
	Path  string // of the vendor's PKCS#11 library
	Token string // label of the token
	PIN   string // of the token's user
}
