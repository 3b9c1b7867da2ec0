package auth_test

import (
	"testing"

	"go.uber.org/goleak" // sees goroutines that a test leaves behind

	"github.com/heapsync/heapsync/storage/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemStoreKeepsThePromises(t *testing.T) { storetest.Auth(t, newMemStore) }
