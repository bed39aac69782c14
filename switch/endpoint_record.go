package payswitch

import (
	"crypto/rand"
	"encoding/binary"
)

// endpointSchema is the layout of a stored endpoint. A later one needs a new
// number.
const endpointSchema = 1

func (e *Endpoint) key() []byte {
	mode := "test"
	if e.Live {
		mode = "live"
	}
	account := digestAccount(mode, e.Merchant)
	return append(account[:], e.ID[:]...)
}

// encode writes an endpoint with its secrets sealed.
func (e *Endpoint) encode(dst []byte, keys *KeyRing) []byte {
	dst = append(dst, endpointSchema)
	dst = binary.AppendUvarint(dst, uint64(e.Version))
	dst = appendString(dst, e.Merchant)
	dst = appendBool(dst, e.Live)
	dst = appendString(dst, e.URL)
	dst = appendString(dst, e.Description)
	dst = appendBool(dst, e.Enabled)
	dst = appendString(dst, e.Disabled)
	dst = appendTime(dst, e.Failing)
	dst = appendTime(dst, e.CreatedAt)
	dst = appendTime(dst, e.UpdatedAt)
	dst = binary.AppendUvarint(dst, uint64(len(e.Types)))
	for _, t := range e.Types {
		dst = appendString(dst, t)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Secrets)))
	for _, s := range e.Secrets {
		dst = appendBytes(dst, keys.sealSecret(s.Secret, e.ID))
		dst = appendTime(dst, s.ExpiresAt)
	}
	return dst
}

// decodeEndpoint is the inverse of encode; stale says that a secret is sealed
// under another key than the present one.
func decodeEndpoint(key, value []byte, keys *KeyRing) (e *Endpoint, stale bool, err error) {
	if len(key) != 8+16 || len(value) < 1 || value[0] != endpointSchema {
		return nil, false, errRecord
	}
	d := decoder{b: value[1:]}
	e = &Endpoint{ID: ID(key[8:]), Version: uint32(d.uvarint()), Merchant: d.string(), Live: d.bool(), URL: d.string(),
		Description: d.string(), Enabled: d.bool(), Disabled: d.string(), Failing: d.time(), CreatedAt: d.time(), UpdatedAt: d.time()}
	var types []string
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		types = append(types, d.string())
	}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		sealed := d.bytes()
		s := EndpointSecret{ExpiresAt: d.time()}
		if d.bad {
			break
		}
		if s.Secret, err = keys.openSecret(sealed, e.ID); err != nil {
			return nil, false, err
		}
		stale = stale || sealed[0] != keys.sealing.Load().current
		e.Secrets = append(e.Secrets, s)
	}
	if d.bad || len(d.b) != 0 || !e.choose(types) {
		return nil, false, errRecord
	}
	return e, stale, nil
}

// secretLabel keeps a sealed secret from being taken for a sealed card number.
const secretLabel = "webhook secret "

// sealSecret encrypts a text that is no card number, bound to its owner, in the
// form of seal.
func (k *KeyRing) sealSecret(clear string, owner ID) []byte {
	keys := k.sealing.Load()
	dst := make([]byte, 1+sealNonce, 1+sealNonce+len(clear)+16)
	dst[0] = keys.current
	nonce := dst[1 : 1+sealNonce]
	_, _ = rand.Read(nonce)
	return keys.aeads[keys.current].Seal(dst, nonce, []byte(clear), append([]byte(secretLabel), owner[:]...))
}

// openSecret is the inverse of sealSecret.
func (k *KeyRing) openSecret(sealed []byte, owner ID) (string, error) {
	if len(sealed) <= 1+sealNonce {
		return "", errSealed
	}
	aead := k.sealing.Load().aeads[sealed[0]]
	if aead == nil {
		return "", errSealed
	}
	clear, err := aead.Open(nil, sealed[1:1+sealNonce], sealed[1+sealNonce:], append([]byte(secretLabel), owner[:]...))
	if err != nil {
		return "", errSealed
	}
	return string(clear), nil
}
