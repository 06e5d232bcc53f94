"""Registration: the credentials handshake, as Receiver and as Sender."""
