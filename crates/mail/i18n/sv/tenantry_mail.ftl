## All mails

greeting = Hej { $name },
greeting-without-name = Hej,
label-end = {": "}
label-sign-in = Logga in
label-link = Länk
label-username = Användarnamn
label-password = Lösenord
label-when = När
label-new-email = Ny e-postadress
label-applications = Program
date-time = { $day } { $month ->
        [1] januari
        [2] februari
        [3] mars
        [4] april
        [5] maj
        [6] juni
        [7] juli
        [8] augusti
        [9] september
        [10] oktober
        [11] november
       *[12] december
    } { $year } kl. { $time } UTC
not-expected = Om du inte väntade dig det här meddelandet, kontakta din administratör.
not-you = Om det inte var du, kontakta din administratör genast.
ignore-if-not-you = Om det inte var du behöver du inte göra något.

## A temporary password

welcome-subject = Ditt nya konto: tillfälligt lösenord
welcome = Ett konto har skapats åt dig.
reset-subject = Ditt lösenord har återställts: tillfälligt lösenord
reset = Ditt lösenord har återställts. Det gamla fungerar inte längre.
forgotten-subject = Du bad om ett tillfälligt lösenord
forgotten = Ett tillfälligt lösenord har begärts för ditt konto.
credentials = Logga in med det här användarnamnet (Username) och lösenordet (Password):
temporary = Lösenordet är tillfälligt. Det gäller till { $until } och kan bara användas för att välja ett eget
    lösenord: du ombeds att göra det när du loggar in.

## Changes of an account

password-changed-subject = Ditt lösenord har ändrats
password-changed = Lösenordet för ditt konto har ändrats.
email-changed-subject = Din e-postadress har ändrats
email-changed = E-postadressen för ditt konto har ändrats. Det här meddelandet går till den gamla adressen.
locked-subject = Ditt konto har låsts
locked-failed-logins = Ditt konto har låsts, eftersom för många inloggningar misslyckades i rad.
locked-by-admin = Ditt konto har låsts av en administratör.
locked-next = Du kan logga in igen när en administratör har låst upp det.
factor-added-subject = En andra faktor har lagts till för ditt konto
factor-added-app = En autentiseringsapp har lagts till för ditt konto. Du uppmanas att ange dess kod när du loggar in.
factor-added-passkey = En nyckel (passkey) har lagts till för ditt konto. Du kan logga in med den.
factor-added-recovery-codes = Nya återställningskoder har skapats för ditt konto. De tidigare fungerar inte längre.
factor-removed-subject = En andra faktor har tagits bort från ditt konto
factor-removed-app = Autentiseringsappen har tagits bort från ditt konto.
factor-removed-passkey = En nyckel (passkey) har tagits bort från ditt konto.
factor-removed-recovery-codes = Återställningskoderna har tagits bort från ditt konto.
recovery-code-used-subject = En återställningskod har använts för att logga in
recovery-code-used = Någon har loggat in på ditt konto med en återställningskod. Återstående koder: { $left }.

## What was forgotten, and addresses

forgotten-username-subject = Ditt användarnamn
forgotten-username = Användarnamnet (Username) för ditt konto har begärts. Du loggar in med det.
verify-email-subject = Bekräfta din e-postadress
verify-email = Öppna länken senast { $until } för att bekräfta att det här är din e-postadress.

## Keys that sign ID tokens

keys-reset-subject = Signeringsnycklar har bytts ut
keys-reset = Serverns operatör har bytt ut nycklar som signerar ID-token. Användarna av programmen nedan förblir
    inloggade, men ID-token som utfärdats tidigare kan inte längre verifieras.
keys-reset-next = De flesta program hämtar de nya nycklarna själva. Om ett program vägrar att logga in användare, starta om det
    eller låt det hämta nycklarna igen.

## A test of the settings

test-subject = Test av e-postleverans
test = Det här är ett test av e-postleverans. Du behöver inte göra något.
