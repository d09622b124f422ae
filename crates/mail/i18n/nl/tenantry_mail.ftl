## All mails

greeting = Hallo { $name },
greeting-without-name = Hallo,
label-end = {": "}
label-sign-in = Inloggen
label-link = Link
label-username = Gebruikersnaam
label-password = Wachtwoord
label-when = Wanneer
label-new-email = Nieuw e-mailadres
label-applications = Toepassingen
date-time = { $day } { $month ->
        [1] januari
        [2] februari
        [3] maart
        [4] april
        [5] mei
        [6] juni
        [7] juli
        [8] augustus
        [9] september
        [10] oktober
        [11] november
       *[12] december
    } { $year }, { $time } UTC
not-expected = Als u deze e-mail niet had verwacht, meld dit dan aan uw beheerder.
not-you = Als u dit niet zelf hebt gedaan, meld dit dan direct aan uw beheerder.
ignore-if-not-you = Als u dit niet zelf hebt gedaan, hoeft u niets te doen.

## A temporary password

welcome-subject = Uw nieuwe account: tijdelijk wachtwoord
welcome = Er is een account voor u gemaakt.
reset-subject = Uw wachtwoord is opnieuw ingesteld: tijdelijk wachtwoord
reset = Uw wachtwoord is opnieuw ingesteld. Het oude wachtwoord werkt niet meer.
forgotten-subject = U hebt een tijdelijk wachtwoord aangevraagd
forgotten = Er is een tijdelijk wachtwoord voor uw account aangevraagd.
credentials = Log in met deze gebruikersnaam (Username) en dit wachtwoord (Password):
temporary = Het wachtwoord is tijdelijk. Het is geldig tot { $until } en kan alleen worden gebruikt om uw eigen
    wachtwoord te kiezen: daar wordt om gevraagd wanneer u inlogt.

## Changes of an account

password-changed-subject = Uw wachtwoord is gewijzigd
password-changed = Het wachtwoord van uw account is gewijzigd.
email-changed-subject = Uw e-mailadres is gewijzigd
email-changed = Het e-mailadres van uw account is gewijzigd. Deze e-mail gaat naar het oude adres.
locked-subject = Uw account is geblokkeerd
locked-failed-logins = Uw account is geblokkeerd, omdat te veel inlogpogingen achter elkaar zijn mislukt.
locked-by-admin = Uw account is door een beheerder geblokkeerd.
locked-next = U kunt weer inloggen zodra een beheerder de blokkering heeft opgeheven.
factor-added-subject = Er is een tweede factor aan uw account toegevoegd
factor-added-app = Er is een authenticator-app aan uw account toegevoegd. Bij het inloggen wordt om de code ervan gevraagd.
factor-added-passkey = Er is een passkey aan uw account toegevoegd. U kunt ermee inloggen.
factor-added-recovery-codes = Er zijn nieuwe herstelcodes voor uw account gemaakt. De vorige werken niet meer.
factor-removed-subject = Er is een tweede factor uit uw account verwijderd
factor-removed-app = De authenticator-app is uit uw account verwijderd.
factor-removed-passkey = Er is een passkey uit uw account verwijderd.
factor-removed-recovery-codes = De herstelcodes zijn uit uw account verwijderd.
recovery-code-used-subject = Er is met een herstelcode ingelogd
recovery-code-used = Er is met een herstelcode op uw account ingelogd. Resterende codes: { $left }.

## What was forgotten, and addresses

forgotten-username-subject = Uw gebruikersnaam
forgotten-username = De gebruikersnaam (Username) van uw account is opgevraagd. Daarmee logt u in.
verify-email-subject = Bevestig uw e-mailadres
verify-email = Open deze link vóór { $until } om te bevestigen dat dit uw e-mailadres is.

## Keys that sign ID tokens

keys-reset-subject = Ondertekeningssleutels zijn vervangen
keys-reset = De exploitant van deze server heeft sleutels vervangen waarmee ID-tokens worden ondertekend. De gebruikers
    van de onderstaande toepassingen blijven ingelogd, maar eerder uitgegeven ID-tokens kunnen niet meer worden
    gecontroleerd.
keys-reset-next = De meeste toepassingen halen de nieuwe sleutels zelf op. Weigert een toepassing gebruikers te laten inloggen,
    start die dan opnieuw of laat die de sleutels opnieuw ophalen.

## A test of the settings

test-subject = Test van de e-mailbezorging
test = Dit is een test van de e-mailbezorging. U hoeft niets te doen.
