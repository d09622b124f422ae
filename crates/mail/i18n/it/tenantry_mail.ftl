## All mails

greeting = Buongiorno { $name },
greeting-without-name = Buongiorno,
label-end = {": "}
label-sign-in = Accesso
label-link = Link
label-username = Nome utente
label-password = Password
label-when = Data
label-new-email = Nuovo indirizzo e-mail
label-applications = Applicazioni
date-time = { $day } { $month ->
        [1] gennaio
        [2] febbraio
        [3] marzo
        [4] aprile
        [5] maggio
        [6] giugno
        [7] luglio
        [8] agosto
        [9] settembre
        [10] ottobre
        [11] novembre
       *[12] dicembre
    } { $year }, { $time } UTC
not-expected = Se non si aspettava questo messaggio, avvisi il Suo amministratore.
not-you = Se non è stato Lei, avvisi subito il Suo amministratore.
ignore-if-not-you = Se non è stato Lei, non deve fare nulla.

## A temporary password

welcome-subject = Il Suo nuovo account: password temporanea
welcome = È stato creato un account per Lei.
reset-subject = La Sua password è stata reimpostata: password temporanea
reset = La Sua password è stata reimpostata. Quella vecchia non funziona più.
forgotten-subject = Ha richiesto una password temporanea
forgotten = È stata richiesta una password temporanea per il Suo account.
credentials = Acceda con questo nome utente (Username) e questa password (Password):
temporary = La password è temporanea. Scadenza: { $until }. Serve soltanto a scegliere la Sua password,
    che Le verrà chiesta al momento dell’accesso.

## Changes of an account

password-changed-subject = La Sua password è stata modificata
password-changed = La password del Suo account è stata modificata.
email-changed-subject = Il Suo indirizzo e-mail è stato modificato
email-changed = L’indirizzo e-mail del Suo account è stato modificato. Questo messaggio arriva al vecchio indirizzo.
locked-subject = Il Suo account è stato bloccato
locked-failed-logins = Il Suo account è stato bloccato, perché troppi accessi di seguito non sono riusciti.
locked-by-admin = Il Suo account è stato bloccato da un amministratore.
locked-next = Potrà accedere di nuovo quando un amministratore lo avrà sbloccato.
factor-added-subject = Un secondo fattore è stato aggiunto al Suo account
factor-added-app = Un’app di autenticazione è stata aggiunta al Suo account. All’accesso Le verrà chiesto il codice dell’app.
factor-added-passkey = Una passkey è stata aggiunta al Suo account. Può usarla per accedere.
factor-added-recovery-codes = Sono stati creati nuovi codici di recupero per il Suo account. Quelli precedenti non valgono più.
factor-removed-subject = Un secondo fattore è stato rimosso dal Suo account
factor-removed-app = L’app di autenticazione è stata rimossa dal Suo account.
factor-removed-passkey = Una passkey è stata rimossa dal Suo account.
factor-removed-recovery-codes = I codici di recupero sono stati rimossi dal Suo account.
recovery-code-used-subject = Un codice di recupero è stato usato per accedere
recovery-code-used = Qualcuno ha effettuato l’accesso al Suo account con un codice di recupero. Codici rimasti: { $left }.

## What was forgotten, and addresses

forgotten-username-subject = Il Suo nome utente
forgotten-username = È stato richiesto il nome utente (Username) del Suo account, con cui può accedere.
verify-email-subject = Confermi il Suo indirizzo e-mail
verify-email = Apra questo link entro il { $until } per confermare che questo è il Suo indirizzo e-mail.

## Keys that sign ID tokens

keys-reset-subject = Le chiavi di firma sono state sostituite
keys-reset = Il gestore di questo server ha sostituito chiavi che firmano i token ID. Gli utenti delle applicazioni qui sotto
    restano connessi, ma i token ID emessi in precedenza non possono più essere verificati.
keys-reset-next = La maggior parte delle applicazioni scarica da sola le nuove chiavi. Se una rifiuta gli accessi, la riavvii o le
    faccia scaricare di nuovo le chiavi.

## A test of the settings

test-subject = Prova di invio della posta
test = Questa è una prova di invio della posta. Non deve fare nulla.
