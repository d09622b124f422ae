# A no-break space stands before a colon, a question mark and within quotation marks.

## All mails

greeting = Bonjour { $name },
greeting-without-name = Bonjour,
label-end = {" : "}
label-sign-in = Connexion
label-link = Lien
label-username = Nom d’utilisateur
label-password = Mot de passe
label-when = Date
label-new-email = Nouvelle adresse e-mail
label-applications = Applications
date-time = { $day ->
        [1] 1er
       *[other] { $day }
    } { $month ->
        [1] janvier
        [2] février
        [3] mars
        [4] avril
        [5] mai
        [6] juin
        [7] juillet
        [8] août
        [9] septembre
        [10] octobre
        [11] novembre
       *[12] décembre
    } { $year } à { $time } UTC
not-expected = Si vous n’attendiez pas ce message, prévenez votre administrateur.
not-you = Si vous n’en êtes pas à l’origine, prévenez immédiatement votre administrateur.
ignore-if-not-you = Si vous n’en êtes pas à l’origine, vous n’avez rien à faire.

## A temporary password

welcome-subject = Votre nouveau compte : mot de passe temporaire
welcome = Un compte a été créé pour vous.
reset-subject = Votre mot de passe a été réinitialisé : mot de passe temporaire
reset = Votre mot de passe a été réinitialisé. L’ancien ne fonctionne plus.
forgotten-subject = Vous avez demandé un mot de passe temporaire
forgotten = Un mot de passe temporaire a été demandé pour votre compte.
credentials = Connectez-vous avec ce nom d’utilisateur (Username) et ce mot de passe (Password) :
temporary = Ce mot de passe est temporaire. Il est valable jusqu’au { $until } et ne sert qu’à choisir votre propre
    mot de passe : celui-ci vous sera demandé lors de la connexion.

## Changes of an account

password-changed-subject = Votre mot de passe a été modifié
password-changed = Le mot de passe de votre compte a été modifié.
email-changed-subject = Votre adresse e-mail a été modifiée
email-changed = L’adresse e-mail de votre compte a été modifiée. Ce message est envoyé à l’ancienne adresse.
locked-subject = Votre compte a été verrouillé
locked-failed-logins = Votre compte a été verrouillé, car trop de connexions ont échoué d’affilée.
locked-by-admin = Votre compte a été verrouillé par un administrateur.
locked-next = Vous pourrez vous reconnecter dès qu’un administrateur l’aura déverrouillé.
factor-added-subject = Un second facteur a été ajouté à votre compte
factor-added-app = Une application d’authentification a été ajoutée à votre compte. Son code vous sera demandé à la connexion.
factor-added-passkey = Une clé d’accès a été ajoutée à votre compte. Vous pouvez vous connecter avec elle.
factor-added-recovery-codes = De nouveaux codes de secours ont été créés pour votre compte. Les précédents ne sont plus valables.
factor-removed-subject = Un second facteur a été retiré de votre compte
factor-removed-app = L’application d’authentification a été retirée de votre compte.
factor-removed-passkey = Une clé d’accès a été retirée de votre compte.
factor-removed-recovery-codes = Les codes de secours ont été retirés de votre compte.
recovery-code-used-subject = Un code de secours a été utilisé pour se connecter
recovery-code-used = Quelqu’un s’est connecté à votre compte avec un code de secours. Codes restants : { $left }.

## What was forgotten, and addresses

forgotten-username-subject = Votre nom d’utilisateur
forgotten-username = Le nom d’utilisateur (Username) de votre compte a été demandé. Il vous sert à vous connecter.
verify-email-subject = Confirmez votre adresse e-mail
verify-email = Ouvrez ce lien avant le { $until } pour confirmer que cette adresse e-mail est la vôtre.

## Keys that sign ID tokens

keys-reset-subject = Des clés de signature ont été remplacées
keys-reset = L’exploitant de ce serveur a remplacé des clés qui signent les jetons d’identité (ID tokens). Les
    utilisateurs des applications ci-dessous restent connectés, mais les jetons émis auparavant ne peuvent plus être
    vérifiés.
keys-reset-next = La plupart des applications récupèrent elles-mêmes les nouvelles clés. Si l’une d’elles refuse de connecter des
    utilisateurs, redémarrez-la ou faites-lui récupérer les clés.

## A test of the settings

test-subject = Test de l’envoi d’e-mails
test = Ceci est un test de l’envoi d’e-mails. Vous n’avez rien à faire.
