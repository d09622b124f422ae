## All pages

skip-to-content = Vai al contenuto
language = Lingua
details = Dettagli
request-id = Numero della richiesta
go-to-sign-in = Vai all’accesso
go-to-account = Vai al tuo account
show-password = Mostra la password
required-field = Questo campo è obbligatorio.

## Sign in

sign-in-title = Accedi
sign-in-to = Accedi a { $name }
sign-in-username = Nome utente
sign-in-password = Password
sign-in-keep = Resta connesso
sign-in-keep-hint = Per 30 giorni, solo su questo dispositivo. Non su un computer condiviso.
sign-in-submit = Accedi
sign-in-forgot-password = Hai dimenticato la password?
sign-in-forgot-username = Hai dimenticato il nome utente?
sign-in-failed = Nome utente o password errati. Controlla entrambi e riprova. La password distingue maiuscole e minuscole.
sign-in-too-many =
    { $minutes ->
        [one] Troppi tentativi falliti dalla tua rete. Riprova tra { $minutes } minuto.
       *[other] Troppi tentativi falliti dalla tua rete. Riprova tra { $minutes } minuti.
    }

## Sign out

sign-out-title = Esci
sign-out-question = Vuoi uscire, { $name }?
sign-out-explanation = Esci anche dalle applicazioni che hai aperto con questo accesso.
sign-out-submit = Esci
sign-out-stay = Resta connesso
signed-out-title = Sei uscito
signed-out-explanation = Puoi chiudere questa finestra o accedere di nuovo.

## Choose an account

choose-account-title = Scegli un account
choose-account-to-continue = per continuare su { $name }
choose-account-submit = Continua come { $name }
choose-account-other = Accedi come un’altra persona
choose-account-other-hint = In tal caso esci dall’account qui sopra.

## Set a password

set-password-title = Imposta una nuova password
set-password-explanation = Hai effettuato l’accesso con una password temporanea o scaduta. Scegline una tua per continuare.
set-password-new = Nuova password
set-password-submit = Imposta la password e continua
set-password-rules = La tua password:
set-password-met = rispettata
set-password-unmet = non ancora rispettata
set-password-problem = Questa password non può essere usata. Queste regole non sono ancora rispettate: la tua password …
rule-length = ha da 12 a 40 caratteri
rule-characters = è composta da lettere senza accenti, cifre e caratteri speciali, senza spazi né due punti
rule-ends = comincia e finisce con una lettera o una cifra
rule-upper-case = ha una lettera maiuscola
rule-lower-case = ha una lettera minuscola
rule-digit = ha una cifra
rule-special = ha un carattere speciale, per esempio - _ . ! o #
rule-names = non contiene il tuo nome utente, il tuo nome o il tuo indirizzo e-mail
rule-common = non è una password comune
rule-used-before = non è una delle tue ultime 12 password, né quella temporanea
rule-length-nist = ha da 15 a 128 caratteri, in qualsiasi lingua, spazi compresi
rule-characters-nist = non contiene caratteri di controllo, come una tabulazione
rule-names-nist = non è il Suo nome utente né il Suo indirizzo e-mail

## Account

account-title = Il tuo account
account-sign-out = Esci
account-profile = Profilo
account-password = Password
account-sessions = Sessioni
account-applications = Applicazioni collegate
account-language = Lingua
account-save = Salva
account-saved = Le modifiche sono state salvate.

## Fields of the profile

field-username = Nome utente
field-first-name = Nome
field-last-name = Cognome
field-display-name = Nome da mostrare
field-display-name-hint = Viene mostrato al posto di nome e cognome. Lascialo vuoto per usare quelli.
field-title = Qualifica
field-phone-number = Numero di telefono
field-email = Indirizzo e-mail
field-username-hint = Lo usi per accedere.
field-optional = facoltativo

## What is wrong with a field

problem-fix = Non è stato ancora salvato nulla. Controlla ciò che è segnalato qui sotto.
problem-empty = Questo campo non può essere vuoto.
problem-too-long = Il testo è troppo lungo.
problem-control-character = Contiene un carattere che qui non può essere usato.
problem-invisible = Contiene solo caratteri invisibili. Scrivi un nome visibile.
problem-username = Usa solo lettere, cifre e . - _ + @, senza spazi.
problem-username-taken = Qualcun altro ha già questo nome utente. Scegline un altro.
problem-email = Questo non è un indirizzo e-mail valido.
problem-changed-meanwhile = Nel frattempo è stato modificato altrove in “{ $current }”. Salva di nuovo per sostituirlo con ciò che hai scritto.
problem-changed-meanwhile-empty = Nel frattempo è stato cancellato altrove. Salva di nuovo per sostituirlo con ciò che hai scritto.
problem-other = Questo valore non può essere usato.

## The e-mail address in the profile

email-verified = Questo indirizzo è verificato.
email-unverified = Questo indirizzo non è ancora verificato.
email-verify = Invia un link di verifica
email-link-sent = Abbiamo inviato un link a { $address }. Aprilo entro 24 ore. Se non arriva nulla, controlla la cartella dello spam.
email-link-too-many =
    { $minutes ->
        [one] È appena stato inviato un link. Se non arriva, potrai chiederne un altro tra { $minutes } minuto.
       *[other] Hai chiesto più link. Se non ne arriva nessuno, potrai chiederne un altro tra { $minutes } minuti.
    }
email-hold = Hai cambiato il tuo indirizzo e-mail. Per proteggerti nel caso sia stato qualcun altro, le e-mail con password vengono inviate al tuo indirizzo precedente, { $address }, fino al { $until }.

## Password in the account

password-current = Password attuale
password-change = Cambia password
password-wrong = Questa non è la tua password attuale.
password-ends-others = Se la cambi, verrai disconnesso ovunque tranne qui.
password-changed = La password è stata cambiata. Sei stato disconnesso ovunque tranne qui.

## Second factors

account-security = Sicurezza
second-factor-title = Confermi la Sua identità
second-factor-app = Inserisca il codice mostrato dalla Sua app di autenticazione.
second-factor-recovery-code = Se non l’ha con sé, inserisca uno dei Suoi codici di recupero.
second-factor-code = Codice
second-factor-remember = Non chiedere più su questo dispositivo
second-factor-remember-hint = Per { $days } giorni. Non su un computer condiviso.
second-factor-submit = Continua
second-factor-failed = Il codice è errato o già usato. Attenda il codice successivo e riprovi.
second-factor-passkey = Usa una passkey
second-factor-passkey-cancelled = La passkey non è stata usata. Riprova.
second-factor-passkey-failed = Questa passkey non conferma che sei tu. Riprova o usa un altro fattore.
second-factor-passkey-unsupported = La tua passkey non può essere usata in questo browser. Servono gli script attivi e il tuo dispositivo o la tua chiave di sicurezza.
second-factor-lost = Non ha più codici? Chieda al Suo amministratore di rimuovere il secondo fattore.
second-factor-required = La Sua organizzazione richiede un secondo fattore. Ne aggiunga uno per continuare.
authenticator-title = Aggiungi un’app di autenticazione
authenticator-intro = Un’app di autenticazione sul telefono mostra un nuovo codice ogni 30 secondi. Le verrà chiesto all’accesso.
authenticator-begin = Configura l’app
authenticator-scan = Inquadri questa immagine con la Sua app di autenticazione.
authenticator-qr = Codice QR per l’app di autenticazione
authenticator-key = Oppure inserisca questa chiave:
authenticator-open = Apri l’app su questo dispositivo
authenticator-code = Il codice che l’app mostra adesso
authenticator-confirm = Aggiungi l’app
authenticator-wrong-code = Non è il codice che l’app mostra adesso. Controlli l’ora del telefono e inserisca il codice successivo.
authenticator-no-master-key = Su questo server non si possono aggiungere app di autenticazione, perché manca una chiave principale per sigillarne i segreti. Avvisi il Suo amministratore.
recovery-codes-title = I Suoi codici di recupero
recovery-codes-intro = Se perde il telefono, acceda con uno di questi codici. Ognuno vale una volta sola. Li stampi o li conservi in un gestore di password.
recovery-codes-once = Vengono mostrati solo adesso.
recovery-codes-copy = Copia i codici
recovery-codes-copied = Copiati
recovery-codes-print = Stampa i codici
recovery-codes-continue = Ho conservato i codici: continua
recovery-codes-left = Codici di recupero rimasti: { $left }
recovery-codes-make = Crea nuovi codici di recupero
security-intro = Con un secondo fattore nessuno può accedere con la sola password.
security-none = Non ha un secondo fattore.
security-off = Qui i secondi fattori sono disattivati.
security-required-from = La Sua organizzazione richiede un secondo fattore a partire dal { $when }. Ne aggiunga uno prima di allora.
security-add-app = Aggiungi un’app di autenticazione
factor-app = App di autenticazione
factor-passkey = Passkey
factor-recovery-codes = Codici di recupero
factor-added = Aggiunto il { $when }
factor-remove = Rimuovi: { $name }
factor-removed = Il secondo fattore è stato rimosso.
factor-last = La Sua organizzazione richiede un secondo fattore. Ne aggiunga un altro prima di rimuovere questo.
devices-title = Dispositivi ricordati
devices-count = Dispositivi sui quali non viene chiesto un codice: { $count }
devices-forget = Chiedi di nuovo un codice su tutti i dispositivi
devices-forgotten = Su ogni dispositivo Le verrà chiesto di nuovo un codice.

## Passkeys

account-passkeys = Passkey
passkeys-intro = Una passkey ti fa accedere con il blocco del tuo dispositivo: il dito, il viso o il PIN. Non scrivi né nome utente né password, e nessun sito falso può chiedertela.
passkeys-too-old = Per aggiungere, rinominare o rimuovere una passkey devi aver effettuato l’accesso negli ultimi 5 minuti.
passkeys-sign-in-again = Accedi di nuovo
passkeys-unsupported = Questo browser non può aggiungere una passkey qui. Servono gli script attivi e un dispositivo con il blocco dello schermo o una chiave di sicurezza.
passkeys-need-a-name = Le passkey non sono disponibili qui, perché l’indirizzo di questo server è un numero: i browser conservano le passkey solo per i nomi. Rivolgiti all’amministratore.
passkeys-need-https = Le passkey non sono disponibili qui, perché questo server non è raggiungibile in https. Rivolgiti all’amministratore.
passkeys-name = Nome della passkey
passkeys-name-hint = Scegline uno con cui riconoscerai il dispositivo.
passkeys-default-name = Il mio dispositivo
passkeys-add = Aggiungi una passkey
passkeys-yours = Le tue passkey
passkeys-none = Non hai ancora nessuna passkey.
passkeys-synced = Su più dispositivi tuoi
passkeys-one-device = Su un solo dispositivo
passkeys-since = Aggiunta il { $when }
passkeys-last-used = ultimo uso il { $when }
passkeys-never-used = non ancora usata
passkeys-change = Rinomina o rimuovi: { $name }
passkeys-rename = Salva il nome
passkeys-remove = Rimuovi passkey: { $name }
passkeys-added = La passkey è stata aggiunta. Da ora puoi usarla per accedere.
passkeys-renamed = Il nome è stato salvato.
passkeys-removed = La passkey è stata rimossa. Non puoi più usarla per accedere. Se il dispositivo la propone ancora, eliminala anche lì.
passkeys-taken-here = Questo dispositivo ha già una passkey per il tuo account.
passkeys-not-created = Non è stata aggiunta nessuna passkey. Riprova quando vuoi.
passkeys-too-many = Hai { $count } passkey, il massimo. Rimuovine una prima di aggiungerne un’altra.
passkeys-bad-name = Non è stato salvato nulla: il nome deve avere da 1 a 64 caratteri visibili, senza interruzioni di riga.
passkeys-invalid = Questa passkey non può essere usata qui. Non è stato cambiato nulla. Riprova o usa un altro dispositivo.
passkeys-gone = Questa passkey non esiste più. Non è stato cambiato nulla.
passkeys-expired = La pagina è rimasta aperta troppo a lungo. Non è stato cambiato nulla. Riprova.
passkeys-taken = Questa passkey è già registrata. Non è stato cambiato nulla.
passkeys-last-factor = Ti serve un secondo fattore, e questo è l’unico che hai. Aggiungine un altro prima di rimuoverlo.
passkeys-off = Le passkey sono disattivate qui. Non è stato cambiato nulla. Rivolgiti all’amministratore.
passkeys-nothing-changed = Non è stato cambiato nulla. Guarda sotto che cosa fare prima.
sign-in-passkey = Accedi con una passkey
sign-in-passkey-cancelled = Non hai effettuato l’accesso con una passkey. Riprova o usa la password.
sign-in-passkey-refused = Non puoi accedere con questa passkey. Provane un’altra o usa la password.
sign-in-passkey-expired = La pagina è rimasta aperta troppo a lungo. Riprova.
sign-in-passkey-temporary = Accedi prima con la password temporanea che ti è stata inviata per e-mail e impostane una nuova. Poi la passkey funzionerà di nuovo.

## Sessions

sessions-intro = Ecco dove hai effettuato l’accesso. Se non riconosci una sessione, terminala e cambia la password.
sessions-end-others = Esci ovunque tranne qui
sessions-end-all = Esci ovunque, anche qui
sessions-end-one = Termina la sessione: { $what }
sessions-browsers = Browser
sessions-of-applications = Applicazioni
sessions-no-applications = Nessuna applicazione ha accesso tramite una tua sessione.
sessions-this-one = Questo browser
sessions-begun = Dal { $when }
sessions-last-used = ultimo uso il { $when }
sessions-from = da { $address }
sessions-unknown-browser = Browser sconosciuto
sessions-direct = Accesso con nome utente e password
sessions-ended = La sessione è terminata.
sessions-others-ended = Sei stato disconnesso ovunque tranne qui.
sessions-gone = Questa sessione non esiste più. Non è stato modificato nulla.
sessions-more = Sono mostrate solo le { $count } più recenti.

## Connected applications

applications-intro = Queste applicazioni possono sapere di te ciò che è elencato. Se lo revochi, vengono disconnesse e dovranno chiedertelo di nuovo.
applications-none = Non hai collegato nessuna applicazione.
applications-since = Collegata dal { $when }
applications-withdraw = Scollega { $name }
applications-withdrawn = L’applicazione è stata scollegata.
applications-gone = Questa applicazione non è più collegata. Non è stato modificato nulla.

## Language in the account

language-intro = La lingua di queste pagine e delle e-mail che ricevi.
language-of-browser = La lingua del mio browser

## Consent

consent-title = Vuoi collegare { $name }?
consent-intro = { $name } vuole sapere chi sei. Hai effettuato l’accesso come { $username }.
consent-gets = Riceve:
consent-allow = Consenti
consent-deny = Non consentire
consent-later = Puoi revocarlo in qualsiasi momento nel tuo account, alla voce “Applicazioni collegate”.
scope-openid = Il numero del tuo account, con cui ti riconosce
scope-profile = Il tuo nome, nome utente e lingua
scope-email = Il tuo indirizzo e-mail
scope-phone = Il tuo numero di telefono
scope-groups = I gruppi di cui fai parte
scope-partner = L’organizzazione a cui appartieni
scope-offline-access = L’accesso a questi dati anche quando non sei connesso
scope-read = Vedere i dati che tu puoi vedere qui
scope-write = Modificare i dati che tu puoi modificare qui

## Forgotten password and username

forgot-password-title = Hai dimenticato la password?
forgot-password-intro = Ti inviamo per e-mail una password temporanea. Quella attuale resta valida finché non la usi.
forgot-password-who = Nome utente o indirizzo e-mail
forgot-password-submit = Invia una password temporanea
forgot-username-title = Hai dimenticato il nome utente?
forgot-username-intro = Inviamo al tuo indirizzo e-mail i nomi utente che gli corrispondono.
forgot-username-submit = Invia il mio nome utente
forgot-sent-title = Controlla la posta
forgot-password-sent = Se esiste un account attivo con questo nome o indirizzo, una password temporanea è in arrivo all’indirizzo di quell’account. Usala per accedere e scegline una nuova.
forgot-username-sent = Se esistono account attivi con questo indirizzo, i loro nomi utente sono in arrivo.
forgot-not-arrived = Dopo qualche minuto non è arrivato nulla? Controlla la cartella dello spam, verifica ciò che hai scritto o chiedi al tuo amministratore. Viene inviata al massimo una e-mail di questo tipo ogni 10 minuti.
forgot-too-many =
    { $minutes ->
        [one] Troppe richieste dalla tua rete. Riprova tra { $minutes } minuto.
       *[other] Troppe richieste dalla tua rete. Riprova tra { $minutes } minuti.
    }

## Verify the e-mail address

verify-email-title = Verifica il tuo indirizzo e-mail
verify-email-question = { $address } è il tuo indirizzo e-mail?
verify-email-explanation = Premi il pulsante solo se hai chiesto tu il link.
verify-email-submit = Sì, verificalo
verify-email-done-title = Il tuo indirizzo e-mail è verificato
verify-email-done = { $address } è verificato. Puoi chiudere questa finestra.

## Errors

error-title = Qualcosa è andato storto
error-unknown-client-title = Applicazione sconosciuta
error-unknown-client = L’applicazione che ti ha mandato qui non è registrata. Torna all’applicazione e segnalalo a chi la gestisce. Non è stato modificato nulla.
error-bad-redirect-uri-title = L’indirizzo dell’applicazione non è registrato
error-bad-redirect-uri = L’applicazione ci ha chiesto di mandarti a un indirizzo che non è registrato per essa, perciò non lo facciamo. Torna all’applicazione e segnalalo a chi la gestisce. Non è stato modificato nulla.
error-bad-request-title = Questa richiesta non è comprensibile
error-bad-request = Il link o il modulo che ti ha portato qui è incompleto o errato. Torna indietro e riprova. Se vieni da un’applicazione, segnalalo a chi la gestisce. Non è stato modificato nulla.
error-stale-form-title = Questo modulo non è più valido
error-stale-form = La pagina è rimasta aperta troppo a lungo, oppure nel frattempo sei entrato o uscito in un’altra finestra. Riapri la pagina e ripeti l’operazione. Non è stato modificato nulla.
error-foreign-origin-title = Questo modulo viene da un altro sito
error-foreign-origin = Per la tua sicurezza accettiamo solo moduli delle nostre pagine. Riapri la pagina e compila il modulo lì. Non è stato modificato nulla.
error-cookies-off-title = I cookie sono disattivati
error-cookies-off = Il tuo browser non invia il nostro cookie, senza il quale non puoi restare connesso. Consenti i cookie per questo sito, poi riapri la pagina. Non è stato modificato nulla.
error-expired-request-title = Questo accesso è scaduto
error-expired-request = È durato più di un’ora, oppure il link è stato modificato. Torna all’applicazione e accedi di nuovo. Non è stato modificato nulla.
error-expired-link-title = Questo link non funziona più
error-expired-link = Il link è scaduto o è già stato usato. Richiedine uno nuovo. Non è stato modificato nulla.
error-signed-out-title = Sei uscito
error-signed-out = La tua sessione è terminata. Accedi di nuovo e ripeti l’operazione. Non è stato modificato nulla.
error-not-allowed-title = Non puoi farlo
error-not-allowed = Il tuo account non ne ha il diritto. Rivolgiti all’amministratore. Non è stato modificato nulla.
error-not-found-title = Pagina non trovata
error-not-found = A questo indirizzo non c’è nessuna pagina. Controlla l’indirizzo o vai al tuo account.
error-method-not-allowed-title = Questa pagina non si apre così
error-method-not-allowed = Aprila dal suo indirizzo, o dal modulo che vi porta. Non è stato modificato nulla.
error-too-many-title = Troppe richieste
error-too-many = Sono arrivate troppe richieste dalla tua rete. Aspetta un minuto, poi riprova.
error-unavailable-title = Siamo occupati
error-unavailable = Il server non può rispondere in questo momento. Aspetta un attimo, poi riprova. Non è stato modificato nulla.
error-internal-title = Qualcosa è andato storto
error-internal = È un errore nostro, non tuo. Riprova; se succede di nuovo, comunica all’amministratore il numero della richiesta qui sotto.
